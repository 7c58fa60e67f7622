"""What the binary makes of files made to do harm; see run.sh."""

import argparse
import concurrent.futures
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import made

SECONDS, BYTES = 20, 2 << 30
PATIENCE = 90
# What ends a process that would take the machine with it; above what counts as too much, so that this shows in the table.
HARD_BYTES = 4 << 30
DOCUMENTED = (0, 1, 2, 3, 4)

DATASET = """name = "tiny"
summary = "a few glyphs"
shape = [1, 28, 28]
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
licence = "MIT OR Apache-2.0"

[source.glyphs]
seed = 5
train = 60
test = 20
"""
FILES = """name = "files"
summary = "four by four"
shape = [1, 4, 4]
classes = ["a", "b", "c"]
licence = "none"

[source.hub]
id = "me/files"
revision = "main"

[train]
files = [{ path = "train.parquet" }]

[test]
files = [{ path = "test.parquet" }]
"""
SUITE = """format = 1
name = "small"
data = "tiny"
model = "linear"
seeds = [0]
take = 10
notes = ["a note"]

[train]
epochs = 1
batch = 20
optimiser = { name = "adam", lr = 4e-3 }
schedule = { name = "cosine" }
augmentation = "none"
validation = 10

[[row]]
id = "ce"
recipe = "ce"
note = "plain"

[[row]]
id = "pen"
base = "ce"
penalties = [{ name = "grad-norm", weight = 1.0 }]

[[attack]]
name = "fgsm"
eps = ["0.05"]

[[attack]]
name = "pgd"
eps = ["0.02", "8/255"]
steps = 2
"""
SCRIPT = """// Cross-entropy and the squared norm of the input gradient.
// formula: mean l
const WEIGHT = 1.0; // weight of the penalty
const NAME = "norm";

fn loss(step) {
    let x = step.input();
    let noise = step.normal_pixels("n") * 0.1;
    let ce = step.cross_entropy(x);
    let q = step.input_gradient(ce, x).sqr().sum_per_example();
    let z = step.forward(leaf(x + noise)).log_softmax();
    let parts = [];
    for i in 0..3 { parts.push(z.narrow(1, i, 1)); }
    let s = cat(parts, 1).broadcast_to([x.dim(0), 3]).sum_per_example();
    [term("ce", 1.0, ce), term(NAME, WEIGHT, q), logged("s", s)]
}
"""
SCRIPT_VALUES = [
    "x", "ce", "q", "z", "0", "1", "-1", "1.0 / 0.0", "[]", "[x]", '"a"', "1000000000000", "x.pad_zeros(0, 0, 1000000000000)",
    "step.input_gradient(q, x).sqr().sum_per_example()", "cat([x, x], 3)", "x.reshape([0])", "x.broadcast_to([100000, 100000])",
    "leaf(x)", "x.detach()", "step", "loss(step)", "x.conv2d(x, 0, 0)", "x.max_pool2d(0, 0)", "x.narrow(3, 27, 2)", "x.matmul(x)",
    "step.uniform(\"u\", [1000000, 1000000], 0.0, 1.0)", "x.transpose(0, 9)", "x.sum([0, 0, 7])", "step.constant([], [0, 9])",
]  # fmt: skip
LINEAR = [("1.weight", [10, 784]), ("1.bias", [10])]


class Case:
    """One run of the binary: its words, in a folder with these files."""

    def __init__(self, kind, name, words, files=(), before=None, want=DOCUMENTED, env=(), file_limit=None):
        self.kind, self.name, self.words, self.files = kind, name, words, files
        self.before, self.want, self.env, self.file_limit = before, want, dict(env), file_limit


def run(binary, base, case, work):
    """Runs a case; returns None, or what was wrong."""
    folder = Path(tempfile.mkdtemp(dir=work))
    try:
        shutil.copytree(base, folder, dirs_exist_ok=True, symlinks=True)
        for name, body in case.files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))
        if case.before:
            case.before(folder)

        def limits():
            resource.setrlimit(resource.RLIMIT_AS, (HARD_BYTES, HARD_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if case.file_limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (case.file_limit, case.file_limit))
                # Python ignores this signal and hands that on.
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

        words = [binary, *case.words, *([] if "--threads" in case.words else ["--threads", "1"])]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "HF_HUB_OFFLINE": "1", **case.env}
        with open(folder / ".out", "wb") as out, open(folder / ".err", "wb") as err:
            process = subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=limits)
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
        # Of the CPU: a machine with other work to do is no fault of the binary's, and what hangs is ended.
        seconds = usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status)
        process.returncode = code
        wrong = []
        if code not in case.want:
            wrong.append(f"exit {code}")
        if seconds > SECONDS:
            wrong.append(f"{seconds:.0f} s")
        if usage.ru_maxrss * 1024 > BYTES:
            wrong.append(f"{usage.ru_maxrss / 1e6:.1f} GB")
        if wrong:
            said = (folder / ".err").read_bytes()[-600:].decode("utf-8", "replace")
            kept = Path(work) / "failed" / f"{case.kind}-{case.name}".replace(" ", "-").replace("/", "-")
            shutil.copytree(folder, kept, dirs_exist_ok=True, symlinks=True, ignore=lambda d, names: [n for n in names if not (Path(d) / n).is_file() and not (Path(d) / n).is_dir()])
            return f"{case.kind} {case.name}: {', '.join(wrong)}: gauntlet {' '.join(map(str, case.words))}\n    {said.strip()}\n    in {kept}"
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def attack(*words, data="tiny", model="linear", checkpoint="m.safetensors"):
    return ["attack", "--model", model, "--checkpoint", checkpoint, "--data", data, "--attack", "fgsm", "--eps", "0.1", "--take", "10", "-q", *words]


def network(*words):
    return ["attack", "--model", "onnx:h.onnx", "-q", *words]


ON_IMAGES = ["--data", "tiny", "--attack", "fgsm", "--eps", "0.1", "--take", "10"]
# Of the network that is exported: 784 inputs, 10 outputs.
PROPERTY = "".join(f"(declare-const X_{i} Real)(assert (>= X_{i} 0.1))(assert (<= X_{i} 0.9))\n" for i in range(784)) + "".join(
    f"(declare-const Y_{i} Real)\n" for i in range(10)
) + "(assert (or (and (>= Y_0 (+ Y_1 (* 2.0 Y_2))) (<= Y_3 -1e3)) (and (<= (- Y_4 Y_5) 0.5) (>= X_7 0.5))))\n"  # fmt: skip


def train(recipe, *words):
    return ["train", "--model", "linear", "--recipe", recipe, "--data", "tiny", "--epochs", "1", "--batch", "20", "--validation", "10", "-q", "--out", "out.safetensors", *words]


def sound(binary, base):
    """The files that the binary itself writes: a checkpoint, a journal, a report with its store."""
    (base / "datasets").mkdir(parents=True)
    (base / "datasets/tiny.toml").write_text(DATASET)
    (base / "datasets/files.toml").write_text(FILES)
    (base / "small.toml").write_text(SUITE)
    trained = [w.replace("out.safetensors", "m.safetensors") for w in train("ce")]
    for words in [["run", "small.toml", "-q"], trained, attack("--journal", "it.journal"), ["export", "--model", "linear", "--data", "tiny", "--out", "net.onnx"]]:
        done = subprocess.run([binary, *words, "--threads", "1"], cwd=base, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"the sound files cannot be made: gauntlet {' '.join(words)}\n{done.stderr}")


def random_cases(rng, base, long):
    """Sound files with a few things done to them."""
    n = (lambda short, many: many if long else short)
    journal = (base / "it.journal").read_bytes()
    safetensors = (base / "m.safetensors").read_bytes()
    records = sorted((base / "reports/small/records").iterdir())
    torch = made.torch_file(LINEAR)
    images, labels = [made.png() for _ in range(6)], [0, 1, 2, 0, 1, 2]
    parquet = made.parquet(images, labels)
    pixels = made.idx([6, 4, 4], bytes(range(96)))
    classes = made.idx([6], bytes(labels))
    idx_files = [("d/train-images-idx3-ubyte", pixels), ("d/train-labels-idx1-ubyte", classes), ("d/t10k-labels-idx1-ubyte", classes)]
    local = attack("--data-dir", "d", data="files", checkpoint="four.safetensors")
    four = ("four.safetensors", made.safetensors([("1.weight", [3, 16]), ("1.bias", [3])]))
    suite = (base / "small.toml").read_text()
    for i in range(n(40, 1000)):
        verb = ["check", "run"][i % 10 == 9]
        yield Case("suite", i, [verb, "wrong.toml"], [("wrong.toml", made.mutated(rng, suite))])
    for i in range(n(25, 600)):
        text = made.mutated(rng, DATASET if i % 2 else FILES)
        yield Case("manifest", i, ["check", "small.toml"], [("datasets/tiny.toml", text)])
    for i in range(n(30, 800)):
        file = rng.choice(records)
        yield Case("record", i, ["report", "reports/small"], [(str(file.relative_to(base)), made.harmed(rng, file.read_bytes()))])
    for i in range(n(15, 300)):
        yield Case("journal", i, attack("--journal", "it.journal"), [("it.journal", made.harmed(rng, journal))])
    for i in range(n(30, 800)):
        yield Case("checkpoint", i, attack(checkpoint="h.safetensors"), [("h.safetensors", made.harmed(rng, safetensors[:2000] if i % 5 == 0 else safetensors))])
    for i in range(n(30, 800)):
        pickled = made.harmed(rng, made.state_dict(LINEAR)) if i % 2 else None
        body = made.zipped(pickled, [7840, 10]) if pickled is not None else made.harmed(rng, torch)
        yield Case("pickle", i, attack(checkpoint="h.pt"), [("h.pt", body)])
    for i in range(n(30, 800)):
        body = made.harmed(rng, parquet) if i % 2 else made.parquet([made.harmed(rng, images[0]), *images[1:]], labels)
        yield Case("parquet", i, local, [four, ("d/train.parquet", parquet), ("d/test.parquet", body)])
    for i in range(n(20, 500)):
        body = made.harmed(rng, pixels)
        body = made.gzip.compress(body) if i % 2 else body
        yield Case("idx", i, local, [four, *idx_files, ("d/t10k-images-idx3-ubyte", body)])
    onnx = (base / "net.onnx").read_bytes()
    for i in range(n(30, 500)):
        body = onnx if i % 2 else onnx[-900:] + onnx[:900]
        yield Case("onnx", i, network(*ON_IMAGES) if i % 3 else ["inspect", "h.onnx"], [("h.onnx", made.harmed(rng, body))])
    for i in range(n(15, 200)):
        few = PROPERTY if i % 2 else PROPERTY[-1200:]
        files = [("h.onnx", onnx), ("h.vnnlib", made.mutated(rng, few))]
        yield Case("property", i, network("--property", "h.vnnlib", "--seconds", "0.2"), files)
    for i in range(n(30, 800)):
        verb = train("script:wrong.rhai") if i % 4 else ["check", "wrong.rhai"]
        yield Case("script", i, verb, [("wrong.rhai", made.mutated(rng, SCRIPT, SCRIPT_VALUES, rng.choice(["=", "("])))])


def loss(body):
    return f"fn loss(step) {{ let x = step.input(); let ce = step.cross_entropy(x); {body}; [term(\"ce\", 1.0, ce)] }}"


SCRIPTS = {
    "pad": loss("x.pad_zeros(0, 0, 1000000000000)"),
    "broadcast": loss("step.constant([1.0], [1, 1]).broadcast_to([1000000, 1000000])"),
    "normal": loss('step.normal("n", [1000000, 1000000])'),
    "uniform": loss('step.uniform("n", [10000000000], 0.0, 1.0)'),
    "grows": loss("let a = x; for i in 0..40 { a = cat([a, a], 0); }"),
    "grows along rows": loss("let a = x; for i in 0..40 { a = cat([a, a], 3); }"),
    "outer product": loss("let a = x.reshape([15680, 1]); for i in 0..6 { let k = a.dim(0); a = a.matmul(a.transpose(0, 1)).reshape([k * k, 1]); }"),
    "high order": loss("let g = step.input_gradient(ce, x); for i in 0..10 { g = step.input_gradient(g.sqr().sum_per_example(), x); }"),
    "shape runs over": loss("step.constant([], [9223372036854775807, 3, 0]).sum_all()"),
    "many": loss("let l = []; for i in 0..1000 { l.push(x.broadcast_to([20, 1, 28, 28]) * 1.0); }"),
    "passes": loss("for i in 0..1000 { step.forward(leaf(x)); }"),
    "endless": loss("let i = 0; loop { i += 1; }"),
    "recursion": "fn f(x) { f(x) } fn loss(step) { f(1) }",
    "control character": 'fn loss(step) { [term("a\\x1b", 1.0, step.cross_entropy(step.input()))] }',
    "byte order mark": "\ufeff" + loss("let a = 1"),
    "long": "// " + "a" * (1 << 17),
    "deep": loss("let a = " + "(" * 5000 + "1" + ")" * 5000),
}


def special(name, make):
    """A case's preparation: a file that is none."""

    def before(folder):
        make(str(folder / name))

    return before


def sparse(length, head=b""):
    def make(path):
        with open(path, "wb") as file:
            file.write(head)
            file.truncate(length)

    return make


def by_hand(long):
    """What somebody would think of."""
    local = attack("--data-dir", "d", data="files", checkpoint="four.safetensors")
    four = ("four.safetensors", made.safetensors([("1.weight", [3, 16]), ("1.bias", [3])]))
    good = made.parquet([made.png() for _ in range(3)], [0, 1, 2])
    two, three = (2,), (3,)
    no = (2, 3)

    def case(kind, name, words, files=(), **more):
        return Case(f"{kind} by hand", name, words, files, **more)

    for name, text in SCRIPTS.items():
        yield case("script", name, train("script:s.rhai"), [("s.rhai", text)], want=(0,) if name == "byte order mark" else no)
    # Checkpoints.
    pickles = {"laughs": made.laughs(), "nested": made.nested(50_000), "deeper": made.nested(1_000_000), "tuples": made.tuples(1_000_000),
               "wide": b"\x80\x02" + b"(" * 1_000_000 + b".", "system": b"\x80\x02cos\nsystem\n(X\x0b\0\0\0touch pwnedtR."}  # fmt: skip
    for name, body in pickles.items():
        for kind, file in [("zip", made.zipped(body)), ("bare", body)]:
            yield case("pickle", f"{name}, {kind}", attack(checkpoint="h.pt"), [("h.pt", file)], want=two)
    header = b'{"1.weight":{"dtype":"F32","shape":[10,784],"data_offsets":[0,31360]},"u":{"dtype":"F32","shape":[1000000000],"data_offsets":[31360,4000031360]}}'
    specials = {
        "pipe": os.mkfifo,
        "directory": os.mkdir,
        "device": lambda path: os.symlink("/dev/zero", path),
        "sparse": sparse(1 << 40),
        "sparse zip": sparse(1 << 40, b"PK\x03\x04"),
        "sparse pickle": sparse(1 << 40, b"\x80\x02"),
        "unused tensor": sparse(8 + len(header) + 4000031360, len(header).to_bytes(8, "little") + header),
        "long list": sparse(1 << 33, (1 << 32).to_bytes(8, "little")),
    }
    for name, make in specials.items():
        yield case("checkpoint", name, attack(checkpoint="h.safetensors"), before=special("h.safetensors", make), want=two)
        yield case("suite", name, ["check", "h.toml"], before=special("h.toml", make), want=no)
        yield case("onnx", name, network(*ON_IMAGES), before=special("h.onnx", make), want=no)
        yield case("property", name, ["attack", "--model", "onnx:net.onnx", "--property", "h.vnnlib"], before=special("h.vnnlib", make), want=no)
        yield case("journal", name, attack("--journal", "h.journal"), before=special("h.journal", make), want=no)
    for name, shape in {"loop": "h.safetensors", "nowhere": "nowhere"}.items():
        yield case("checkpoint", name, attack(checkpoint="h.safetensors"), before=special("h.safetensors", lambda p, s=shape: os.symlink(s, p)), want=no)
    # Suites.
    rows = "".join('\n[[row]]\nid = "same"\nrecipe = "ce"\n' for _ in range(20_000))
    suite = SUITE.split("[[row]]")[0]
    yield case("suite", "equal ids", ["check", "s.toml"], [("s.toml", suite + rows)], want=two)
    yield case("suite", "20 MB", ["check", "s.toml"], [("s.toml", suite + "seeds2 = [" + "1," * 10_000_000 + "]\n")], want=two)
    yield case("suite", "deep", ["check", "s.toml"], [("s.toml", "a = " + "[" * 100_000 + "]" * 100_000)], want=two)
    yield case("suite", "id of 300", ["check", "s.toml"], [("s.toml", SUITE.replace('"pen"', f'"{"a" * 300}"'))], want=two)
    yield case("suite", "control character", ["check", "s.toml"], [("s.toml", SUITE.replace('"plain"', '"\\u001b[2J"'))], want=two)
    yield case("suite", "wide model", ["run", "s.toml"], [("s.toml", SUITE.replace('"linear"', '{ name = "mlp", hidden = [65536, 65536] }'))], want=no)
    yield case("suite", "deep model", ["check", "s.toml"], [("s.toml", SUITE.replace('"linear"', '{ name = "wideresnet", depth = 6000004 }'))], want=no)
    yield case("manifest", "class with a control character", ["check", "small.toml"], [("datasets/tiny.toml", DATASET.replace('"3"', '"\\u001b"'))], want=two)
    yield case("manifest", "many glyphs", train("ce"), [("datasets/tiny.toml", DATASET.replace("60", "1000000000000"))], want=no)
    yield case("manifest", "huge", attack(), [("datasets/tiny.toml", DATASET.replace("28, 28", "1000000000, 1000000000"))], want=no)
    # Data.
    page, noise = b"\0" * (300 << 20 if long else 100 << 20), made.png()
    bombs = {
        "gzip page": made.parquet([page], [0], made.GZIP),
        "gzip page that lies": made.parquet([page], [0], made.GZIP, unpacked=100),
        "page of 2 GB": made.parquet([noise], [0], unpacked=0x7FFFFFFF),
        "rows that lie": made.parquet([noise] * 3, [0, 1, 2], rows=2_000_000_000),
        "some rows that lie": made.parquet([noise] * 3, [0, 1, 2], rows=1000),
        "profile": made.parquet([made.png(extra=made.chunk(b"iCCP", b"p\0\0" + made.zlib.compress(page)))], [0]),
        "pixels": made.parquet([made.png(rows=page)], [0]),
        "wide": made.parquet([made.png(width=50_000, height=50_000, rows=b"")], [0]),
    }
    for name, body in bombs.items():
        want = (0, 2, 3) if name in ("pixels", "profile") else no
        yield case("parquet", name, local, [four, ("d/train.parquet", good), ("d/test.parquet", body)], want=want)
    del page
    labels = made.idx([6], bytes([0, 1, 2, 0, 1, 2]))
    images = made.idx([6, 4, 4], bytes(96))
    idx_files = [("d/train-images-idx3-ubyte", images), ("d/train-labels-idx1-ubyte", labels)]
    for name, body, classes in [
        ("bomb", made.gzip.compress(images + bytes(300 << 20), 1), labels),
        ("header of 4 billion", made.idx([0xFFFFFFFF, 4, 4], b""), made.idx([0xFFFFFFFF], b"")),
        ("rank 255", made.idx([0xFFFFFFFF] * 255, b""), labels),
    ]:
        yield case("idx", name, local, [four, *idx_files, ("d/t10k-images-idx3-ubyte", body), ("d/t10k-labels-idx1-ubyte", classes)], want=no)
    # Options and surroundings.
    for name, words, want in [
        ("threads", ["doctor", "--threads", "5000"], two),
        ("wide model", ["train", "--model", '{ name = "mlp", hidden = [65536, 65536] }', *train("ce")[3:]], no),
        ("wide model attacked", attack(model='{ name = "mlp", hidden = [65536, 65536] }'), no),
        ("negative seed", train("ce", "--seed", "-1"), two),
        ("negative steps", attack("--steps", "-3"), two),
        ("huge batch", train("ce", "--batch", "18446744073709551615"), (0, 2)),
        ("huge take", [w.replace("10", "18446744073709551615") if w == "10" else w for w in attack()], (0, 2)),
        ("missing checkpoint", attack(checkpoint="/proc/self/mem"), no),
    ]:
        yield case("option", name, words, want=want)
    yield case("option", "threads by a variable", ["doctor", "--threads", "4"], env={"CANDLE_NUM_THREADS": "100000"}, want=(0, 2))
    yield case("option", "files of 4 kB", ["run", "small.toml", "--fresh", "--runs", "other", "--out", "other-report"], file_limit=4096, want=three)


def full_device(binary, base):
    """stdout and stderr on a full device: 3, or what it would have been."""
    wrong = []
    for words in [["report", "nowhere"], ["report", "reports/small"], ["list", "models"]]:
        for more in ([], ["--json"]):
            for broken in ("stdout", "stderr"):
                with open("/dev/full", "wb") as full:
                    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, broken: full}
                    code = subprocess.run([binary, *words, *more, "--threads", "1"], cwd=base, **pipes).returncode
                if code not in DOCUMENTED:
                    wrong.append(f"full device: exit {code}: gauntlet {' '.join(words + more)} with {broken} on /dev/full")
    return 12, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="kinds that begin with this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    binary = str(Path(given.binary).resolve())
    work = Path(tempfile.mkdtemp(prefix="gauntlet-hostile-"))
    base = work / "base"
    sound(binary, base)
    tried, failed, messages = {}, {}, []
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        # A few at a time: the files of all cases together are larger than the memory.
        open_cases = {}

        def collect(done):
            for future in done:
                case, message = open_cases.pop(future), future.result()
                tried[case.kind] = tried.get(case.kind, 0) + 1
                if message:
                    failed[case.kind] = failed.get(case.kind, 0) + 1
                    messages.append(message)
                    print(message, file=sys.stderr, flush=True)

        cases = [by_hand(given.long), random_cases(random.Random(given.seed), base, given.long)]
        for case in (case for source in cases for case in source):
            if given.only and not case.kind.startswith(given.only):
                continue
            open_cases[pool.submit(run, binary, base, case, work)] = case
            while len(open_cases) >= 2 * given.jobs:
                collect(concurrent.futures.wait(open_cases, return_when=concurrent.futures.FIRST_COMPLETED).done)
        collect(list(concurrent.futures.wait(open_cases).done))
    if not given.only:
        tried["full device"], wrong = full_device(binary, base)
        failed["full device"] = len(wrong)
        messages += wrong
        print("\n".join(wrong), file=sys.stderr)
    print("| what | tried | survived |\n|---|--:|--:|")
    for kind, count in tried.items():
        print(f"| {kind} | {count} | {count - failed.get(kind, 0)} |")
    total = sum(tried.values())
    print(f"\n{total} tried, {total - len(messages)} survived (seed {given.seed}, {time.monotonic() - start:.0f} s)")
    if messages:
        sys.exit(1)
    shutil.rmtree(work)


main()
