"""Tells of each growth of several datasets as it happens, all in one thread: `async for`.

Usage: swmr_asyncio.py [FILENAME [DATASETNAME ...]]

    FILENAME:    the file to watch. Default: swmr.h5
    DATASETNAME: the datasets to watch in it. Default: data
"""

import asyncio
import logging
import sys

import h5live


async def monitor(file, dataset_name):
    """Logs the shape of one dataset whenever it grows, until its writer closes the file."""
    dataset = file[dataset_name]
    logging.info("Read data shape: %s", dataset.shape)
    following = dataset.follow(start=dataset.shape[0])
    async for rows in following:
        logging.info("Read data shape: %s", (following.rows.stop, *rows.shape[1:]))


async def main(file_name, *dataset_names):
    logging.info("Opening file %s", file_name)
    with h5live.follow(file_name, timeout=10) as file:
        await asyncio.gather(*(monitor(file, name) for name in dataset_names or ["data"]))
        logging.info("File writer closed file")


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s  %(levelname)s\t%(message)s", level=logging.INFO)
    asyncio.run(main(*(sys.argv[1:] or ["swmr.h5"])))
