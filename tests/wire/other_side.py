"""The other side of tests/wire: Python's JSON, another sr25519 library, PyTorch."""

import io
import json
import os
import pickle
import sys
import zipfile

folder = sys.argv[2]


def path(name):
    return os.path.join(folder, name)


def canonical():
    """Each text as Python signs it and as it writes it."""
    count = 0
    texts = open(path("texts.jsonl"), encoding="utf-8")
    with texts, open(path("canonical.jsonl"), "w", encoding="utf-8") as out:
        for line in texts:
            repeated = []

            def members(pairs):
                if len(dict(pairs)) < len(pairs):
                    repeated.append(True)
                return dict(pairs)

            value = json.loads(json.loads(line)["text"], object_pairs_hook=members)
            answer = {
                "signed": json.dumps(value or {}, sort_keys=True, default=str),
                "plain": json.dumps(value),
                "repeated": bool(repeated),
            }
            out.write(json.dumps(answer) + "\n")
            count += 1
    print(count)


def verify():
    """Verifies our signatures, refuses them for other messages, and makes some of its own."""
    import sr25519

    verified = refused = 0
    with open(path("signed.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            signed = json.loads(line)
            public = bytes.fromhex(signed["public"])
            signature = bytes.fromhex(signed["signature"])
            message = signed["message"].encode()
            verified += bool(sr25519.verify(signature, message, public))
            refused += not sr25519.verify(signature, message + b".", public)
    made = []
    for seed in range(20):
        public, secret = sr25519.pair_from_seed(bytes([seed] * 32))
        message = f"{seed:064x}.178430000{seed:04}."
        signature = sr25519.sign((public, secret), message.encode())
        made.append({"public": public.hex(), "message": message, "signature": signature.hex()})
    print(json.dumps({"verified": verified, "refused": refused, "signed": made}))


def bits_of(tensor):
    import torch

    flat = tensor.detach().contiguous().reshape(-1)
    if tensor.dtype == torch.bfloat16:
        return [n & 0xFFFF for n in flat.view(torch.int16).tolist()]
    return [n & 0xFFFFFFFF for n in flat.view(torch.int32).tolist()]


def load():
    """Loads our files, as a miner does."""
    import torch

    count = 0
    for name in os.listdir(folder):
        if not name.endswith(".ours"):
            continue
        with open(path(name[:-5] + ".says"), encoding="utf-8") as says:
            says = json.load(says)
        with open(path(name), "rb") as file:
            content = file.read()
        for source in (path(name), io.BytesIO(content)):
            tensor = torch.load(source, weights_only=True)
            assert tensor.dtype == torch.bfloat16, tensor.dtype
            assert list(tensor.shape) == says["shape"], (name, tensor.shape)
            assert tensor.is_contiguous() and not tensor.requires_grad
            assert bits_of(tensor) == says["bits"], name
        count += 1
    print(count)


def save():
    """Writes tensors in every way that PyTorch can, and files that no reader may accept."""
    import torch

    def good(name, tensor, how=torch.save):
        how(tensor, path(name + ".good"))
        says = {
            "kind": "f32" if tensor.dtype == torch.float32 else "bf16",
            "shape": list(tensor.shape),
            "bits": bits_of(tensor),
        }
        with open(path(name + ".json"), "w", encoding="utf-8") as out:
            json.dump(says, out)

    def in_memory(tensor, file):
        buffer = io.BytesIO()
        torch.save(tensor, buffer)
        with open(file, "wb") as out:
            out.write(buffer.getvalue())

    def with_protocol(protocol):
        return lambda tensor, file: torch.save(tensor, file, pickle_protocol=protocol)

    torch.manual_seed(5)
    for name, kind in (("bf16", torch.bfloat16), ("f32", torch.float32)):
        whole = torch.randn(6, 8, 10).to(kind)
        good(f"{name} whole", whole)
        good(f"{name} in memory", whole, in_memory)
        good(f"{name} transposed", whole.transpose(0, 2))
        good(f"{name} view with an offset", whole[2:4])
        good(f"{name} every second", whole[::2, 1::3, ::5])
        good(f"{name} one row of many", torch.randn(500, 16).to(kind)[77])
        good(f"{name} repeated", torch.randn(1, 9).to(kind).expand(5, 9))
        good(f"{name} one number", whole[1, 2, 3])
        good(f"{name} empty", whole[:0])
        good(f"{name} flat", whole.flatten())
        good(f"{name} with gradient", whole.clone().requires_grad_())
        for protocol in (2, 3, 4, 5):
            good(f"{name} protocol {protocol}", whole, with_protocol(protocol))
        good(f"{name} named in German, \u00fcber.x", whole)
    odd = torch.tensor([0, -0.0, 1e-45, 3e38, float("inf"), float("-inf"), float("nan")])
    good("odd f32", odd)
    good("odd bf16", odd.to(torch.bfloat16))
    refused(torch)


class Code:
    """Runs something when a careless reader loads it."""

    def __reduce__(self):
        return (exec, (f"open({path('code-was-run')!r}, 'w').write('x')",))


def refused(torch):
    plain = torch.ones(4, dtype=torch.bfloat16)
    things = {
        "code": Code(),
        "code beside a tensor": [plain, Code()],
        "list": [plain],
        "dict": {"w": plain},
        "tuple": (plain, plain),
        "nothing": None,
        "number": 5,
        "text": "x" * 100,
        "state": torch.nn.Linear(2, 2).state_dict(),
        "module": torch.nn.Linear(2, 2),
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "f16": plain.half(),
        "f64": plain.double(),
        "i64": plain.long(),
        "bool": plain.bool(),
        "complex": torch.ones(3, dtype=torch.complex64),
        "sparse": torch.eye(3).to_sparse(),
        "size": plain.shape,
        "dtype": torch.bfloat16,
    }
    for name, thing in things.items():
        torch.save(thing, path(name + ".bad"))
    torch.save(plain, path("old format.bad"), _use_new_zipfile_serialization=False)
    with open(path("pickle.bad"), "wb") as out:
        pickle.dump(Code(), out)
    torch.save(plain, path("rewritten.pt"))
    with zipfile.ZipFile(path("rewritten.pt")) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    root = next(iter(entries)).split("/")[0]

    def rewrite(name, change, method=zipfile.ZIP_STORED):
        with zipfile.ZipFile(path(name + ".bad"), "w", method) as out:
            for entry, content in entries.items():
                kept = change(entry.removeprefix(root + "/"), content)
                if kept is not None:
                    out.writestr(entry, kept)

    rewrite("deflated", lambda _, content: content, zipfile.ZIP_DEFLATED)
    rewrite("squeezed", lambda _, content: content, zipfile.ZIP_BZIP2)
    rewrite("lost version", lambda entry, content: None if entry == "version" else content)
    rewrite("lost data", lambda entry, content: None if entry == "data/0" else content)
    rewrite("short data", lambda entry, content: content[:6] if entry == "data/0" else content)
    evil = pickle.dumps(Code(), 2)
    rewrite("evil", lambda entry, content: evil if entry == "data.pkl" else content)
    both = evil[:-1] + b"0" + entries[root + "/data.pkl"][2:]
    rewrite("evil first", lambda entry, content: both if entry == "data.pkl" else content)


commands = {"canonical": canonical, "verify": verify, "load": load, "save": save}
commands[sys.argv[1]]()
