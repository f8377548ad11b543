"""Train the demo checkpoint: ``python -m demo.train``, after ``python -m demo.prepare``.

Resumes from the last checkpoint when run again, shows the WER on AN4's ``dev`` list on the way,
and writes the weights of the last step to ``--output``. Uses a GPU when there is one.

``--subwords N`` trains a variant that writes N SentencePiece pieces, learned from the training
transcripts, in place of characters: the tests' model of subwords.
"""

import argparse
import json
from pathlib import Path

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from nemo.collections.asr.models import EncDecCTCModel, EncDecCTCModelBPE
from omegaconf import DictConfig, OmegaConf, open_dict

from demo.paths import DEMO, GENERATED
from demo.subwords import train_tokenizer
from export.checkpoint import load_checkpoint

SEED = 20261123
STEPS_BETWEEN_VALIDATIONS = 250
CHECKPOINTS = GENERATED / "checkpoints"
TRAINING_MANIFEST = GENERATED / "train.jsonl"


def main() -> None:
    """Train to ``--steps``, resuming when a checkpoint is there, and save the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8000, help="optimiser steps (default 8000)")
    parser.add_argument("--start-from", metavar="FILE.nemo", help="begin with these weights")
    parser.add_argument(
        "--subwords", type=int, metavar="N", help="write N SentencePiece pieces, not characters"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=DEMO / "demo.nemo",
        metavar="FILE.nemo",
        help="where the model goes (default %(default)s)",
    )
    options = parser.parse_args()
    lightning.seed_everything(SEED, workers=True)
    checkpoints = CHECKPOINTS / options.output.stem
    last = checkpoints / "last.ckpt"
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
            ModelCheckpoint(checkpoints, filename="last", enable_version_counter=False),
            TQDMProgressBar(refresh_rate=25),
        ],
    )
    if options.subwords:
        model = _subword_model(options.subwords, trainer)
    else:
        model = EncDecCTCModel(cfg=_model_config(), trainer=trainer)
    if options.start_from:
        _start_from(model, options.start_from)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    trainer.fit(model, ckpt_path=last if last.exists() else None)
    _save(model, options.output)


def _subword_model(pieces: int, trainer: lightning.Trainer) -> EncDecCTCModelBPE:
    """The same model with a tokenizer for a vocabulary."""
    folder = GENERATED / f"tokenizer_{pieces}"
    transcripts = TRAINING_MANIFEST.read_text().splitlines()
    train_tokenizer((json.loads(line)["text"] for line in transcripts), pieces, folder)
    config = _model_config()
    config.tokenizer = {"dir": str(folder), "type": "bpe"}
    for section in (config, config.train_ds, config.validation_ds):
        del section.labels
    config.decoder.num_classes = pieces
    return EncDecCTCModelBPE(cfg=config, trainer=trainer)


def _model_config() -> DictConfig:
    config = OmegaConf.load(DEMO / "quartznet.yaml").model
    config.train_ds.manifest_filepath = str(TRAINING_MANIFEST)
    config.validation_ds.manifest_filepath = str(GENERATED / "dev.jsonl")
    return config


def _start_from(model: EncDecCTCModel, checkpoint: str) -> None:
    """Take the weights of ``checkpoint``; a head for another vocabulary stays new."""
    started = load_checkpoint(checkpoint).model
    model.encoder.load_state_dict(started.encoder.state_dict())
    if list(started.decoder.vocabulary) == list(model.decoder.vocabulary):
        model.decoder.load_state_dict(started.decoder.state_dict())


def _save(model: EncDecCTCModel, path: Path) -> None:
    """Write a ``.nemo`` file that names no data set and no path."""
    with open_dict(model.cfg):
        for section in ("train_ds", "validation_ds"):
            model.cfg.pop(section, None)
        if "tokenizer" in model.cfg:
            model.cfg.tokenizer.dir = ""  # the tokenizer itself travels in the file
    model.save_to(str(path))


if __name__ == "__main__":
    main()
