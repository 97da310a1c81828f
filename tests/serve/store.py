"""A folder of models in Ollama's layout, filled with the demonstration model under other names."""
import hashlib
import json
import os
import struct

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../data/demo.gguf")


def demo_bytes(context=None):
    """The model's file, saying that it was trained for so many tokens."""
    with open(DEMO, "rb") as file:
        data = bytearray(file.read())
    if context:
        at = data.index(b"llama.context_length") + len(b"llama.context_length") + 4
        struct.pack_into("<I", data, at, context)
    return bytes(data)


class Store:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder + "/blobs", exist_ok=True)
        self.environment = {"OLLAMA_MODELS": folder}

    def blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{self.folder}/blobs/sha256-{digest}", "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def add(self, name, model=None, parameters=None, template=None, projector=None):
        layers = [("model", model or demo_bytes())]
        if parameters:
            layers.append(("params", json.dumps(parameters).encode()))
        if template:
            layers.append(("template", template.encode()))
        if projector:
            layers.append(("projector", projector))
        kind = "application/vnd.ollama.image."
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **self.blob(b"{}")},
                    "layers": [{"mediaType": kind + what, **self.blob(data)} for what, data in layers]}
        path = f"{self.folder}/manifests/registry.ollama.ai/library/{name}"
        os.makedirs(path, exist_ok=True)
        with open(path + "/latest", "w") as file:
            json.dump(manifest, file)
