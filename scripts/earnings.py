#!/usr/bin/env python3
"""Reckons a ledger again, from the network's answers alone, with exact fractions.

    scripts/earnings.py LEDGER [BOOKS]

LEDGER is Hearth's ledger.sqlite, BOOKS the books.sqlite of a practice swarm. It shares no code with
Hearth: the formulas are written anew here, from the protocol's description of pay. Every figure of the
ledger that follows from an answer is compared, to the rao; with BOOKS also what the orchestrator wrote
down for itself. Prints what it compared. Ends with status 1 if anything differs.
"""

import json
import math
import sqlite3
import sys
from fractions import Fraction

DIFFERENT = []


def same(what, ledger, reckoned):
    if ledger != reckoned:
        DIFFERENT.append(f"{what}: the ledger says {ledger}, the answers come to {reckoned}")


def exact(number):
    """A number of an answer as the decimal that is written there."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def rows(path, query):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    return [dict(row) for row in base.execute(query)]


def walk(scores):
    """Each record's share and weight, and what nobody gets (spec 10.2)."""
    runs = {run["run_id"]: run for run in scores["runs"]}
    claimed = sum(
        exact(run["incentive_weight"]) * exact(run.get("active_weight_fraction", 1)) for run in runs.values()
    )
    totals = {}
    for record in scores["miner_scores"]:
        total = max(exact(record["total_score"]), 0)
        totals[record["run_id"]] = totals.get(record["run_id"], 0) + total
    records, burned = [], Fraction(1)
    for record in scores["miner_scores"]:
        total = max(exact(record["total_score"]), 0)
        whole = totals[record["run_id"]]
        share = Fraction(total) / whole if whole else Fraction(0)
        run = runs.get(record["run_id"])
        weight = Fraction(0)
        if run and claimed <= 1:
            part = exact(run["incentive_weight"]) * exact(run.get("active_weight_fraction", 1))
            weight = share * (1 - exact(run["burn_factor"])) * part
        burned -= weight
        records.append((record["hotkey"], whole, share, weight))
    return records, burned


def pay(epoch, terms, owed):
    """What each miner earns, is owed and is paid, and what is burnt."""
    lowest, loss = epoch["lowest_before"], epoch["loss"]
    green = loss is not None and (lowest is None or loss < lowest)
    paid_to = {miner["hotkey"]: miner["paid_to"] for miner in epoch["miners"]}
    records, _ = walk(epoch["scores"])
    weights = {}
    for hotkey, _, _, weight in records:
        weights[hotkey] = weights.get(hotkey, 0) + weight
    burned, out = terms["emission"], {}
    for hotkey in set(weights) | set(owed):
        earned = math.floor(terms["emission"] * weights.get(hotkey, 0)) if paid_to.get(hotkey) else 0
        burned -= earned
        pending, frozen = owed.get(hotkey, (0, 0))
        if green:
            pending, frozen = pending + frozen + earned, 0
        else:
            frozen += earned
        payout = None
        if green and pending >= terms["minimum"] and pending > terms["fee"]:
            payout = (pending, terms["fee"], pending - terms["fee"])
            pending = 0
        out[hotkey] = (earned, pending, frozen, payout)
    return green, out, burned


def main():
    ledger = sys.argv[1]
    books = sys.argv[2] if len(sys.argv) > 2 else None
    answers = rows(ledger, "SELECT * FROM answers WHERE kind = 'GET /public/pay' ORDER BY id")
    epochs, owed, seen = {}, {}, {}
    for answer in answers:
        told = json.loads(answer["body"])
        key = (answer["network"], told["run"], told["since"])
        for epoch in told["epochs"]:
            if (key, epoch["epoch"]) in seen:
                continue
            seen[key, epoch["epoch"]] = (epoch, told)
            before = owed.get(key, {})
            green, out, burned = pay(epoch, told["terms"], before)
            name = f"epoch {epoch['epoch']}"
            same(f"{name}, burnt", epoch["burned"], burned)
            same(f"{name}, green", epoch["period"], "green" if green else "frozen")
            for miner in epoch["miners"]:
                payout = miner["payout"] and tuple(miner["payout"][k] for k in ("gross", "fee", "net"))
                told_of = (miner["earned"], miner["account"]["pending"], miner["account"]["frozen"], payout)
                same(f"{name}, {miner['hotkey']} as published", told_of, out[miner["hotkey"]])
            owed[key] = {h: (p, f) for h, (_, p, f, _) in out.items() if p or f}
            epochs[key, epoch["epoch"]] = (out, walk(epoch["scores"])[0], green)

    compared = payouts = 0
    for row in rows(ledger, "SELECT * FROM epochs ORDER BY id"):
        key = (row["network"], row["run"], row["began"] // 1000)
        out, records, green = epochs[key, row["epoch"]]
        name = f"epoch {row['epoch']} of {row['hotkey']}"
        earned, pending, frozen, _ = out[row["hotkey"]]
        same(f"{name}, entitlement", row["entitlement"], earned)
        same(f"{name}, owed", (row["pending"], row["frozen"]), (pending, frozen))
        same(f"{name}, period", row["period"], "green" if green else "frozen")
        own = [record for record in records if record[0] == row["hotkey"]]
        if own:
            same(f"{name}, run total", Fraction(row["run_total"]), own[0][1])
            same(f"{name}, share", Fraction(row["share"]), own[0][2])
            same(f"{name}, weight", Fraction(row["weight"]), own[0][3])
        compared += 1
    due = {}
    for (key, number), (out, _, _) in epochs.items():
        for hotkey, (_, _, _, payout) in out.items():
            if payout:
                due[key[0], hotkey, f"{key[1]}@{key[2]}/{number}/{hotkey}"] = payout
    own = {row["hotkey"] for row in rows(ledger, "SELECT DISTINCT hotkey FROM epochs")}
    for row in rows(ledger, "SELECT * FROM payouts WHERE source = 'answer'"):
        key = (row["network"], row["hotkey"], row["name"])
        same(f"payout {row['name']}", (row["gross"], row["fee"], row["net"]), due.pop(key, None))
        payouts += 1
    for network, hotkey, name in due:
        if hotkey in own:
            DIFFERENT.append(f"payout {name} on {network} is due and not in the ledger")
    if books:
        written = {row["epoch"]: json.loads(row["record"]) for row in rows(books, "SELECT * FROM paid")}
        for (_, number), (epoch, _) in seen.items():
            same(f"epoch {number} in the orchestrator's books", written.get(number), epoch)
        scores = rows(books, "SELECT epoch, hotkey, backwards, partitions FROM scores")
        for row in scores:
            told = [e for (_, n), (e, _) in seen.items() if n == row["epoch"]]
            for epoch in told:
                raw = [s["raw_score"] for s in epoch["scores"]["miner_scores"] if s["hotkey"] == row["hotkey"]]
                did = row["backwards"] + row["partitions"]
                same(f"epoch {row['epoch']}, score of {row['hotkey']}", sum(raw), did)
    print(json.dumps({"answers": len(answers), "epochs": compared, "payouts": payouts, "different": DIFFERENT}))
    sys.exit(1 if DIFFERENT else 0)


if __name__ == "__main__":
    main()
