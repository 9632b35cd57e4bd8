"""File names between Python and the system."""

import os

filename_encode = os.fsencode
filename_decode = os.fsdecode
WINDOWS_ENCODING = "utf-8"
