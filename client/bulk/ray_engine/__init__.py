"""A manifest transcribed by many workers on one machine or several, as a Ray Data job.

Flow: manifest → ``bulk.ray_engine.shards``, ranges of its lines → each to a
``bulk.ray_engine.worker``, an actor with one ``Transcriber`` of its
own (connections to all servers, the language model loaded once) → the shard's own
``Results``, ``OUT.shards/00000.jsonl`` → the driver,
``bulk.ray_engine.engine``, takes each shard that is ready into the job's ``OUT.jsonl``.

Whatever ends a worker or the driver, what is in the results files is done: a worker that takes a
shard over goes on with its file, and a resumed job takes in the shards that were left.

The manifest, its audio, the results' folder, the language model and TLS files are read and written
by the workers: on several machines all of it is on a file system that they share, under the same
paths, and this project is installed on each. Relative paths are from the driver's current folder.

What goes over Ray are shards and their numbers, and once the job with the servers' addresses and
secrets. A Ray that is started here listens on the loopback interface alone, wants a token of its
own, has no dashboard, and reports nothing to its makers. Whom a cluster lets in, and whether it
encrypts, is its own: https://docs.ray.io/en/latest/ray-security/index.html.
"""

from .cluster import RayOptions
from .engine import RayEngine
from .worker import Job

__all__ = ["Job", "RayEngine", "RayOptions"]
