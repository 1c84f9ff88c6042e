"""One rank of PyTorch's Gloo, started by exchange.py: the time of all_reduce of float gradients, the slowest rank's, size by size.

    gloo_allreduce.py BYTES REPEATS [BYTES REPEATS ...]    with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set

Rank 0 prints a line of JSON a size: {"bytes": ..., "seconds": [...]}. Two calls before the first that counts touch all memory.
"""

import json
import os
import sys
import time

import torch
import torch.distributed as dist

torch.set_num_threads(1)
dist.init_process_group("gloo")
slowest = torch.zeros(1, dtype=torch.float64)
sizes = [int(word) for word in sys.argv[1:]]
for size, repeats in zip(sizes[::2], sizes[1::2]):
    values = torch.zeros(size // 4)  # zeros stay what they are, so that no sum overflows
    seconds = []
    for turn in range(repeats + 2):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(values)
        slowest[0] = time.perf_counter() - start
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        if turn >= 2:
            seconds.append(slowest.item())
    if os.environ["RANK"] == "0":
        print(json.dumps({"bytes": size, "seconds": seconds}), flush=True)
    del values
dist.destroy_process_group()
