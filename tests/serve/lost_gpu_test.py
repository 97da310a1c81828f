#!/usr/bin/env python3
"""A server on a simulated GPU that is lost under load and cannot be made anew: every request has its one end, and the
server goes on in a new process on the same port.

lost_gpu_test.py HEARTH SIM_FOLDER
"""
import json
import os
import sys
import threading
import time

from program import Program


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def ask(server, ends):
    """One request; what became of it."""
    try:
        status, _, body = server.request("POST", "/api/generate", {
            "model": "demo", "prompt": "Tell me a story", "options": {"num_predict": 200, "temperature": 0}})
        last = json.loads(body.splitlines()[-1]) if body.strip() else {}
        ends.append("done" if status == 200 and last.get("done") else last.get("error", f"cut off with {status}"))
    except OSError as fault:
        ends.append(f"refused: {fault}")


def main():
    hearth, sim = sys.argv[1:]
    if not os.path.exists(sim + "/libcuda.so.1"):
        skip("the simulated driver is not built")
    environment = {"LD_LIBRARY_PATH": sim, "HEARTH_SIM_PROFILE": "tiny-laptop", "HEARTH_SIM_FAULTS": "sticky launch=300; no-reset"}
    server = Program(hearth, gpu="auto", environment=environment)
    try:
        pid, ends = server.process.pid, []
        threads = [threading.Thread(target=ask, args=(server, ends)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert len(ends) == 4, "a request never ended"
        assert any("ILLEGAL_ADDRESS" in end for end in ends), ends
        before = len(server.log)
        server.wait_for("hearth starts itself anew", 60)
        server.wait_for(r"Listening on \S+", 120, since=next(i for i, l in enumerate(server.log) if "itself anew" in l))
        assert server.process.poll() is None and server.process.pid == pid
        assert server.request("GET", "/api/version")[0] == 200
        answer = server.json("POST", "/api/generate", {"model": "demo", "prompt": "Hi", "stream": False,
                                                       "options": {"num_predict": 2}})
        assert answer["done"], answer
    finally:
        server.close()


if __name__ == "__main__":
    main()
