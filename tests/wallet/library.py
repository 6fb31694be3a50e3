"""Bittensor's wallet library, asked by tests/wallet: one command, a folder of wallets, an argument."""

import json
import os
import sys

from bittensor_wallet import Keyfile, Keypair, Wallet

command, folder, argument = sys.argv[1:4]
# The library prints notes of its own; the answer is the last line.
WORDS = Keypair.generate_mnemonic(12)


def wallet(name, hotkey="default"):
    return Wallet(name=name, hotkey=hotkey, path=folder)


def hotkeys():
    names = sorted(os.listdir(os.path.join(folder, argument, "hotkeys")))
    told = {}
    for name in (name for name in names if not name.endswith("pub.txt")):
        key = wallet(argument, name).hotkey
        told[name] = {"address": key.ss58_address, "signature": bytes(key.sign(b"hearth")).hex()}
    return {"coldkeypub": wallet(argument).coldkeypub.ss58_address, "hotkeys": told}


def make():
    quiet = {"use_password": False, "overwrite": True, "suppress": True}
    wallet(argument).create_new_coldkey(**quiet)
    told = {}
    for name, words in (("twelve", 12), ("twentyfour", 24)):
        wallet(argument, name).create_new_hotkey(n_words=words, **quiet)
    for name, uri in (
        ("hard", WORDS + "//miner//2"),
        ("soft", WORDS + "/soft"),
        ("password", WORDS + "///a password"),
        ("seed", "0x" + "5a" * 32),
    ):
        wallet(argument, name).create_hotkey_from_uri(uri, **quiet)
    for name in ("twelve", "twentyfour", "hard", "soft", "password", "seed"):
        told[name] = wallet(argument, name).hotkey.ss58_address
    return {"coldkey": wallet(argument).coldkeypub.ss58_address, "hotkeys": told}


def unlock():
    asked = json.loads(argument)
    this = wallet(asked["wallet"])
    key = this.get_coldkey(asked["password"])
    try:
        this.get_coldkey("not " + asked["password"])
        wrong = "accepted"
    except Exception:
        wrong = "refused"
    return {
        "coldkey": key.ss58_address,
        "coldkeypub": this.coldkeypub.ss58_address,
        "wrong_password": wrong,
    }


def lock():
    asked = json.loads(argument)
    key = Keypair.create_from_mnemonic(WORDS)
    this = wallet(asked["wallet"], "locked")
    this.set_coldkey(key, encrypt=True, overwrite=True, coldkey_password=asked["password"])
    this.set_coldkeypub(key, overwrite=True)
    hotkey = Keypair.create_from_mnemonic(Keypair.generate_mnemonic(24))
    path = os.path.join(folder, asked["wallet"], "hotkeys", "locked")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    file = Keyfile(path, "locked")
    file.set_keypair(hotkey, encrypt=True, overwrite=True, password=asked["password"])
    return {"coldkey": key.ss58_address, "hotkey": hotkey.ss58_address}


def derive():
    uris = [row["uri"] for row in json.loads(argument)]
    return {"addresses": [Keypair.create_from_uri(uri).ss58_address for uri in uris]}


commands = {"hotkeys": hotkeys, "make": make, "unlock": unlock, "lock": lock, "derive": derive}
answer = commands[command]()
print()
print(json.dumps(answer))
