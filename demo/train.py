"""Train the demo checkpoint: ``python -m demo.train``, after ``python -m demo.prepare``.

Resumes from the last checkpoint when run again, shows the WER on AN4's ``dev`` list on the way,
and writes the weights of the last step to ``demo/demo.nemo``. Uses a GPU when there is one.
"""

import argparse

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from nemo.collections.asr.models import EncDecCTCModel
from omegaconf import DictConfig, OmegaConf, open_dict

from demo.paths import DEMO, GENERATED

SEED = 20261123
STEPS_BETWEEN_VALIDATIONS = 250
CHECKPOINTS = GENERATED / "checkpoints"


def main() -> None:
    """Train to ``--steps``, resuming when a checkpoint is there, and save the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8000, help="optimiser steps (default 8000)")
    parser.add_argument("--start-from", metavar="FILE.nemo", help="begin with these weights")
    options = parser.parse_args()
    lightning.seed_everything(SEED, workers=True)
    config = _model_config()
    last = CHECKPOINTS / "last.ckpt"
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        precision="bf16-mixed",
        max_steps=options.steps,
        max_epochs=-1,
        limit_train_batches=STEPS_BETWEEN_VALIDATIONS,
        val_check_interval=STEPS_BETWEEN_VALIDATIONS,
        check_val_every_n_epoch=None,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=25,
        logger=CSVLogger(GENERATED, name="logs"),
        callbacks=[
            ModelCheckpoint(CHECKPOINTS, filename="last", enable_version_counter=False),
            TQDMProgressBar(refresh_rate=25),
        ],
    )
    model = EncDecCTCModel(cfg=config, trainer=trainer)
    if options.start_from:
        started = EncDecCTCModel.restore_from(options.start_from, map_location="cpu")
        model.load_state_dict(started.state_dict())
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    trainer.fit(model, ckpt_path=last if last.exists() else None)
    _save(model)


def _model_config() -> DictConfig:
    config = OmegaConf.load(DEMO / "quartznet.yaml").model
    config.train_ds.manifest_filepath = str(GENERATED / "train.jsonl")
    config.validation_ds.manifest_filepath = str(GENERATED / "dev.jsonl")
    return config


def _save(model: EncDecCTCModel) -> None:
    """Write a ``.nemo`` file that names no data set and no path."""
    with open_dict(model.cfg):
        for section in ("train_ds", "validation_ds"):
            model.cfg.pop(section, None)
    model.save_to(str(DEMO / "demo.nemo"))


if __name__ == "__main__":
    main()
