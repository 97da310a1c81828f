"""How many machine instructions a kernel issues, without a GPU to count them.

ptxas says of each instruction of its machine code which line of the PTX it comes from (-lineinfo; nvdisasm prints it),
and the simulated driver says how often each line is executed by a warp (HEARTH_SIM_COUNTS). A basic block of machine
code is executed as often as the memory and matrix instructions in it, of which one in PTX is one in machine code; where
ptxas has made several copies of one (it unrolls loops), each copy has its share. Blocks without any go by the rest.
"""
import re
import statistics
import subprocess
import tempfile
import os

# One instruction of PTX, one of machine code.
ANCHORS = re.compile(r"(LDG|LDGSTS|LDS|LDSM|STS|STG|IMMA|HMMA|SHFL|BAR|UBLKCP|SYNCS)\b")


class Instruction:
    def __init__(self, text, line):
        self.predicated = text.startswith("@")
        self.name = re.sub(r"^@!?\S+\s+", "", text).split()[0]  # with its modifiers
        self.target = (re.search(r"`\((\S+)\)", text) or [None, None])[1] if self.ends_block() else None
        self.line = line

    def anchor(self):
        return ANCHORS.match(self.name) is not None

    def ends_block(self):
        return re.match(r"(BRA|BRX|JMP|EXIT|RET|CALL|WARPSYNC\.COLLECTIVE)\b", self.name) is not None


def disassemble(ptxas, nvdisasm, ptx, target, isa):
    """{kernel: its basic blocks, each a list of instructions}"""
    with tempfile.TemporaryDirectory() as folder:
        stamped, cubin = os.path.join(folder, "kernel.ptx"), os.path.join(folder, "kernel.cubin")
        with open(ptx) as file:
            text = re.sub(r"^\.version .*$", f".version {isa}", file.read(), flags=re.M)
        with open(stamped, "w") as file:
            file.write(text)
        subprocess.run([ptxas, f"-arch=sm_{target}", "-O3", "-lineinfo", "-o", cubin, stamped], check=True)
        text = subprocess.run([nvdisasm, "-c", "-gp", cubin], stdout=subprocess.PIPE, text=True, check=True).stdout
    kernels, blocks, line = {}, None, 0
    for row in text.splitlines():
        if section := re.match(r"\s*\.section\s+(\S+?),", row):
            blocks = None
            if section[1].startswith(".text."):
                blocks = kernels[section[1][len(".text."):]] = [[]]
        elif blocks is None:
            continue
        elif number := re.match(r'\s*//## File "\.nv_debug_ptx_txt", line (\d+)', row):
            line = int(number[1])
        elif re.match(r"\.L_\S+:", row):
            blocks.append([])
        elif code := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", row):
            instruction = Instruction(code[1], line)
            blocks[-1].append(instruction)
            if instruction.ends_block():
                blocks.append([])
    return {name: [block for block in blocks if block] for name, blocks in kernels.items()}


def issued(blocks, executed):
    """Instructions that a kernel issues, all warps together. executed: {line of PTX: how often}"""
    copies, places = {}, {}
    for i, block in enumerate(blocks):
        for instruction in block:
            key = (instruction.line, instruction.name)
            copies[key] = copies.get(key, 0) + 1
            places.setdefault(key, set()).add(i)
    total = 0
    for block in blocks:
        anchors = [one for one in block if one.anchor() and not one.predicated]
        if anchors:
            times = statistics.median_low(executed.get(one.line, 0) / copies[one.line, one.name] for one in anchors)
        else:
            rest = [one for one in block if not one.predicated] or block
            times = statistics.median_low(executed.get(one.line, 0) / len(places[one.line, one.name]) for one in rest)
        total += times * len(block)
    return total


def read_counts(path):
    """{kernel: {line of PTX, 0 for the launches: how often}}"""
    counts = {}
    with open(path) as file:
        for row in file:
            kernel, line, count = row.split()
            counts.setdefault(kernel, {})[int(line)] = int(count)
    return counts


def multiplications(ptx, executed):
    """Of matrix instructions: numbers multiplied by numbers."""
    total = 0
    with open(ptx) as file:
        for number, row in enumerate(file, 1):
            if number in executed and (shape := re.search(r"\bmma\.sync\.aligned\.m(\d+)n(\d+)k(\d+)\.", row)):
                total += executed[number] * int(shape[1]) * int(shape[2]) * int(shape[3])
    return total
