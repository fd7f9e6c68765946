#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Are the cases awake? Breaks one fact of the handbook or one row of the tables at a time, in a copy, and expects a named
case of `rgt eval` or a named test to fail.

mutate.py BUILD_DIR [--only WORDS] [--json FILE]

BUILD_DIR holds rgt, test_handbook and test_triage. Handbook: the programs read the copy. Tables are compiled in: the
changed file alone is compiled and linked before the archive that has the sound one. Exit 1 if more than 5 % slip
through. Standard library only."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HANDBOOK = ("skill", "profiles", "references")
GOTCHAS = "references/gotchas_universal.md"

# (name, file, what stands there, what shall stand there): exactly one place is changed.
HANDBOOK_MUTATIONS = [
    ("id renamed: U7", GOTCHAS, "### U7 —", "### U97 —"),
    ("id renamed: M17", "references/training/oom-memory.md", "### M17 —", "### M71 —"),
    ("id renamed: AD-DANGER", "profiles/autodl.md", "### AD-DANGER —", "### AD-RISK —"),
    ("id renamed: R5, cited by nobody", "references/training/by-domain.md", "### R5 —", "### R7 —"),
    ("id renamed: RP4", "profiles/runpod.md", "### RP4 —", "### RP40 —"),
    ("id doubled: U8", GOTCHAS, "### U8 —", "### U9 —"),
    ("id in lower case: U22", GOTCHAS, "### U22 —", "### u22 —"),
    ("heading without its dash: D19", "references/training/distributed-launch.md", "### D19 —", "### D19 -"),
    ("stamp dropped: profile autodl", "profiles/autodl.md", 'verified: "2026-06"', 'verified: ""'),
    ("stamp moved: profile runpod", "profiles/runpod.md", 'verified: "2026-08"', 'verified: "2026-11"'),
    ("stamp of no month: profile lambda", "profiles/lambda.md", 'verified: "2026-06"', 'verified: "2026-13"'),
    ("stamp dropped: entry LAM14", "profiles/lambda.md", "remote-gpu-trainer, verified 2026-06.", "remote-gpu-trainer."),
    ("stamp dropped: entry VAST14", "profiles/vastai.md", "remote-gpu-trainer, verified 2026-06.", "remote-gpu-trainer."),
    ("verb: runpod stop instead of terminate", "profiles/runpod.md", 'verb: "Terminate the pod', 'verb: "Stop the pod'),
    ("verb: vast stop instead of destroy", "profiles/vastai.md", 'verb: "Destroy the instance', 'verb: "Stop the instance'),
    ("verb: autodl release instead of power off", "profiles/autodl.md", 'verb: "关机 (power off)', 'verb: "释放 (power off)'),
    ("verb: lambda has a stop", "profiles/lambda.md", "There is no stop, and a shutdown", "There is a stop, and a shutdown"),
    ("verb: kubernetes forgets the nodes", "profiles/kubernetes.md", "then scale the GPU node pool down", "and you are done"),
    ("verb: slurm", "profiles/slurm.md", "scancel JOBID ends it early", "sbatch JOBID ends it early"),
    ("irreversible: runpod", "profiles/runpod.md", "irreversible: true", "irreversible: false"),
    ("irreversible: autodl", "profiles/autodl.md", "irreversible: false", "irreversible: true"),
    ("irreversible: china", "profiles/china.md", "irreversible: true", "irreversible: false"),
    ("survives: autodl data disk after release", "profiles/autodl.md",
     'path: "/root/autodl-tmp", stop: "billed", destroy: "no"', 'path: "/root/autodl-tmp", stop: "billed", destroy: "yes"'),
    ("survives: lambda root disk", "profiles/lambda.md", 'destroy: "no"', 'destroy: "yes"'),
    ("survives: 恒源云 system disk after stop", "profiles/china.md",
     'path: "/", stop: "no", destroy: "no"', 'path: "/", stop: "yes", destroy: "no"'),
    ("billing: runpod volume while stopped", "profiles/runpod.md", 'stop: "billed"', 'stop: "yes"'),
    ("billing: vast disk while stopped", "profiles/vastai.md", 'stop: "billed"', 'stop: "yes"'),
    ("clock: autodl 15 days become 30", "profiles/autodl.md", "(关机) for 15 days in a row is released", "(关机) for 30 days in a row is released"),
    ("clock: 恒源云 10 days become 15", "profiles/china.md", "released after 10 days\"", "released after 15 days\""),
    ("clock dropped: runpod zero credit", "profiles/runpod.md", '{id: "zero-credit"', '{id: "no-credit"'),
    ("clock: vast 48 hours become 84", "profiles/vastai.md", "deleted 48 hours later", "deleted 84 hours later"),
    ("cap: autodl inodes", "profiles/autodl.md", "inode_cap: 200000", "inode_cap: 2000000"),
    ("mount: autodl durable", "profiles/autodl.md", 'durable_mount: "/root/autodl-fs"', 'durable_mount: "/root/autodl-tmp"'),
    ("spot: autodl", "profiles/autodl.md", "spot_available: false", "spot_available: true"),
    ("citation of nothing: profile autodl", "profiles/autodl.md", "AD9, U7, U20]", "AD9, U7, U200]"),
    ("citation of nothing: SKILL.md", "skill/remote-gpu-trainer/SKILL.md", "| U6, U7, U61 |", "| U6, U7, U161 |"),
    ("citation of nothing: an entry", GOTCHAS, "Delete or pack them (U25)", "Delete or pack them (U250)"),
    ("link to nothing: SKILL.md", "skill/remote-gpu-trainer/SKILL.md", "](profiles/runpod.md)", "](profiles/runpods.md)"),
    ("part dropped: the fix of U9", GOTCHAS, None, ("### U9 —", "**Fix:**", "**Cure:**")),
    ("part dropped: the source of U22", GOTCHAS, None, ("### U22 —", "**Source:**", "**From:**")),
    ("section dropped: Teardown of vastai", "profiles/vastai.md", "\n## Teardown\n", "\n## Ending\n"),
    ("unknown key: profile local", "profiles/local.md", "\nkind: workstation", "\nkindd: workstation"),
    ("unquoted yes: profile lambda", "profiles/lambda.md", 'stop: "', "stop: perhaps, x: \""),
    ("figure: autodl-fs 200,000 files", "profiles/autodl.md", None, ("### AD4 —", "200,000", "2,000,000")),
    ("fix turned: U7 looks at bytes", GOTCHAS, None, ("### U7 —", "`df -i DIR` and", "`df -k DIR` and")),
    ("skill: another name", "skill/remote-gpu-trainer/SKILL.md", "name: remote-gpu-trainer", "name: gpu-trainer"),
    ("skill: a key that is none", "skill/remote-gpu-trainer/SKILL.md", "license: MIT", "licence: MIT"),
]

SIGNATURES = "core/triage/signatures.tsv"
DECISIONS = "core/triage/decision_table.cc"
# Rows of signatures.tsv: id and the class it gets.
SIGNATURE_MUTATIONS = [
    ("cuda_oom_torch", "host_oom"), ("host_oom_kernel", "cuda_oom"), ("host_oom_slurm", "killed_unknown"),
    ("disk_inodes_known", "disk_full_bytes"), ("disk_bytes_iostream", "code_error"), ("quota_words", "disk_full_bytes"),
    ("nccl_watchdog", "network_transient"), ("gpu_xid_hardware", "driver_mismatch"), ("driver_kernel_image", "gpu_fault"),
    ("shm_bus_error", "host_oom"), ("nan_words", "code_error"), ("loader_killed", "code_error"),
]
DECISION_MUTATIONS = [
    ("done although artifacts are missing", "unknown, done_but_missing, investigate_code", "done, done_but_missing, pull_and_verify"),
    ("done while alive", "unknown, done_but_alive, investigate_code", "done, done_but_alive, pull_and_verify"),
    ("too fast is fine", "suspicious_fast_finish, done_too_fast, investigate_code", "done, done_too_fast, pull_and_verify"),
    ("unseen is healthy", "unknown, life_unseen", "healthy, life_unseen"),
    ("lost is restarted as crashed", "lost, all_gone, resume_from_latest", "crashed, all_gone, investigate_code"),
    ("stalled is healthy", "stalled, nothing_moves, investigate_code", "healthy, nothing_moves, investigate_code"),
    ("failed is done", "crashed, failed_with, investigate_code", "done, failed_with, pull_and_verify"),
    ("pressure is healthy", "resource_pressure, out_of_room", "healthy, out_of_room"),
]


def once(text, old, new):
    if text.count(old) < 1:
        raise SystemExit(f"mutate.py: \"{old}\" is nowhere: the handbook changed, change the mutation too")
    return text.replace(old, new, 1)


def mutated(text, old, new):
    if old is not None:
        return once(text, old, new)
    heading, old, new = new  # inside of one entry
    at = text.index(heading)
    end = text.find("\n### ", at + 1)
    end = len(text) if end < 0 else end
    return text[:at] + once(text[at:end], old, new) + text[end:]


def run(argv, **more):
    return subprocess.run([str(part) for part in argv], capture_output=True, text=True, errors="replace", timeout=300, **more)


def failed_tests(program, **more):
    done = run([program], **more)
    if done.returncode == 0:
        return []
    # Catch2 prints the name of a failed case between two rules.
    names = re.findall(r"\n-{79}\n([^\n]+)\n", done.stdout)
    return [f"test: {name}" for name in dict.fromkeys(names)] or [f"test: {program.name} ended with {done.returncode}"]


def failed_cases(rgt, tree):
    caught = []
    for file in ("platforms.jsonl", "knowledge.jsonl"):
        done = run([rgt, "eval", ROOT / "evals" / file, "--handbook", tree, "--jobs", "4", "--json"])
        cases = json.loads(done.stdout or "{}").get("cases", [])
        caught += [f"case: {case['id']}" for case in cases if not case["pass"]]
    return caught


def copied_tree(folder):
    for part in HANDBOOK:
        shutil.copytree(ROOT / part, folder / part, symlinks=True)
    for part in ("core", "tools", "server", "evals", "tests", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        (folder / part).symlink_to(ROOT / part)


def handbook_catches(build, mutation, work):
    name, file, old, new = mutation
    tree = work / "tree"
    copied_tree(tree)
    target = tree / file
    target.write_text(mutated(target.read_text(encoding="utf-8"), old, new), encoding="utf-8")
    tests = failed_tests(build / "tests/core/handbook/test_handbook", env={**os.environ, "RGT_TEST_ROOT": str(tree)})
    return tests or failed_cases(build / "rgt", tree)  # the cases are slower, and asked where no test fails


def commands(build, target):
    return run(["ninja", "-C", build, "-t", "commands", target]).stdout.splitlines()


def table_catches(build, source, text, work):
    """Compiles `text` in place of `source` and links test_triage with it."""
    if source.endswith(".tsv"):
        root = work / "root"
        (root / "core/triage").mkdir(parents=True)
        (root / source).write_text(text, encoding="utf-8")
        run(["cmake", f"-DOUT={work}/table.cc", "-DSYMBOL=kSignatureTable", f"-DFILES={source}", f"-DROOT={root}", "-P",
             ROOT / "cmake/EmbedScript.cmake"])
        sound = "kSignatureTable.cc"
    else:
        (work / "table.cc").write_text(text, encoding="utf-8")
        sound = source
    lines = commands(build, "test_triage")
    compiling = next(line for line in lines if line.rstrip().endswith(sound))
    compiling = re.sub(r" -o \S+", f" -o {work}/table.o", compiling)
    compiling = re.sub(r" -MF \S+", f" -MF {work}/table.d", compiling)
    compiling = re.sub(r"\S+$", f"{work}/table.cc", compiling.rstrip())
    linking = lines[-1].replace(" -o tests/core/triage/test_triage ", f" -o {work}/test_triage {work}/table.o ")
    for command in (compiling, linking):
        done = run(["sh", "-c", command], cwd=build)
        if done.returncode != 0:
            return [f"compiler: {(done.stderr or done.stdout).splitlines()[0][:80]}"]
    return failed_tests(work / "test_triage", cwd=ROOT)


def table_mutations():
    signatures = (ROOT / SIGNATURES).read_text(encoding="utf-8")
    for row, wrong in SIGNATURE_MUTATIONS:
        line = next(line for line in signatures.splitlines() if line.startswith(row + "\t"))
        parts = line.split("\t")
        yield f"class of {row}: {parts[1]} becomes {wrong}", SIGNATURES, signatures.replace(line, "\t".join([row, wrong, *parts[2:]]))
    decisions = (ROOT / DECISIONS).read_text(encoding="utf-8")
    for name, old, new in DECISION_MUTATIONS:
        yield f"decision: {name}", DECISIONS, once(decisions, old, new)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("build", type=pathlib.Path)
    options.add_argument("--only", default="")
    options.add_argument("--json", type=pathlib.Path)
    given = options.parse_args()
    build = given.build.resolve()
    rows = []

    def told(name, caught):
        rows.append({"mutation": name, "caught_by": caught})
        print(("caught  " if caught else "MISSED  ") + name + (f"  [{caught[0]}]" if caught else ""), flush=True)

    for mutation in HANDBOOK_MUTATIONS:
        if given.only in mutation[0]:
            with tempfile.TemporaryDirectory(prefix="rgt-mutate-") as work:
                told(mutation[0], handbook_catches(build, mutation, pathlib.Path(work)))
    for name, file, text in table_mutations():
        if given.only in name:
            with tempfile.TemporaryDirectory(prefix="rgt-mutate-") as work:
                told(name, table_catches(build, file, text, pathlib.Path(work)))
    caught = sum(bool(row["caught_by"]) for row in rows)
    print(f"{caught} of {len(rows)} caught")
    if given.json:
        given.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return int(not rows or caught < 0.95 * len(rows))


if __name__ == "__main__":
    sys.exit(main())
