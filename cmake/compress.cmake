# Compresses a file as a zstd frame: cmake -DIN=.. -DOUT=.. -P compress.cmake
file(ARCHIVE_CREATE OUTPUT ${OUT} PATHS ${IN} FORMAT raw COMPRESSION Zstd COMPRESSION_LEVEL 9)
