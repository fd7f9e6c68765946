#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tier 2: asks an agent each case's prompt and grades its words. See evals/README.md for what that proves.

run_agent.py --agent 'COMMAND ...' [--filter WORDS] [--timeout S] [--json FILE]

The prompt is given as the last argument of COMMAND (or on standard input with --stdin); what the command prints is the
answer. Exit 1 if an answer falls short, 2 if nothing was asked. Standard library only."""
import argparse
import json
import pathlib
import shlex
import subprocess
import sys


def cases(folder, words):
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            case = json.loads(line) if line.strip() else {}
            if case.get("prompt") and case.get("answer") and words in case["id"]:
                yield case


def ask(command, prompt, on_stdin, timeout):
    argv = shlex.split(command) + ([] if on_stdin else [prompt])
    try:
        done = subprocess.run(argv, input=prompt if on_stdin else None, stdin=None if on_stdin else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, errors="replace")
    except subprocess.TimeoutExpired:
        return None, "no answer in time"
    return (done.stdout, None) if done.returncode == 0 else (None, f"exit code {done.returncode}: {done.stderr[-300:]}")


def shortcomings(answer, wanted):
    said = answer.lower()
    has = lambda word: word.lower() in said
    wrong = [f'does not say "{word}"' for word in wanted.get("must", []) if not has(word)]
    wrong += [f'says "{word}"' for word in wanted.get("must_not", []) if has(word)]
    if wanted.get("any_of") and not any(map(has, wanted["any_of"])):
        wrong.append("says none of " + ", ".join(wanted["any_of"]))
    if wanted.get("entries") and not any(map(has, wanted["entries"])):
        wrong.append("names none of the entries " + ", ".join(wanted["entries"]))
    return wrong


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--agent", required=True)
    options.add_argument("--filter", default="")
    options.add_argument("--timeout", type=float, default=600)
    options.add_argument("--stdin", action="store_true")
    options.add_argument("--json", type=pathlib.Path)
    given = options.parse_args()
    rows = []
    for case in cases(pathlib.Path(__file__).resolve().parent, given.filter):
        answer, trouble = ask(given.agent, case["prompt"], given.stdin, given.timeout)
        wrong = [trouble] if trouble else shortcomings(answer, case["answer"])
        rows.append({"id": case["id"], "pass": not wrong, "why": wrong, "answer": answer})
        print(("FAIL  " if wrong else "pass  ") + case["id"] + "".join(f"\n      {one}" for one in wrong), flush=True)
    failed = sum(not row["pass"] for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    if given.json:
        given.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return 2 if not rows else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
