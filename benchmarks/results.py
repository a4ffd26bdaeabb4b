#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints docs/results.md: what trimming costs the published nets in the folder RISTRETTO_DATA, as the tool measures it.

    cmake --workflow --preset release
    RISTRETTO_DATA=FOLDER benchmarks/results.py > docs/results.md

What each command finds is kept in build/results, and what is there is not measured again: empty it after a change.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

WIDTHS = (16, 8, 6, 4)
DYNAMIC_MODE, MINIFLOAT_MODE, POWERS_MODE = "dynamic_fixed_point", "minifloat", "integer_power_of_2_weights"
RULES = {"original": ["--ranges=ristretto2016"], "ours": ["--repair=none"], "repaired": []}
RULES_SIDE_BY_SIDE = ("original", "ours")
SEARCH_RULES = ("original", "repaired")
# What repairs are shown with: title, trimming mode, widths.
SETTINGS = (
    ("8 / 8 bits", DYNAMIC_MODE, ["--bits=8,8,8"]),
    ("6 / 8", DYNAMIC_MODE, ["--bits=6,6,8"]),
    ("4 / 8, first and last layer 8 / 8", DYNAMIC_MODE, ["--bits=4,4,8", "--ends=8"]),
    ("4 / 8", DYNAMIC_MODE, ["--bits=4,4,8"]),
    ("4 / 4", DYNAMIC_MODE, ["--bits=4,4,4"]),
    ("minifloat, 8 / 8", MINIFLOAT_MODE, ["--bits=8,8,8"]),
    ("powers of two, 4 / 8", POWERS_MODE, ["--bits=4,4,8"]),
)
FOUR_BITS = SETTINGS[2][2]
# What else they can be with FOUR_BITS: title, options.
ALTERNATIVES = (
    ("one scale for each layer, rounded to nearest", ["--per_layer", "--repair=none"]),
    ("one scale for each channel, rounded to nearest", ["--repair=none"]),
    ("one scale for each channel, rounded to nearest, all activations signed", ["--repair=none", "--signed"]),
    ("one scale for each layer, compensated and corrected", ["--per_layer"]),
    ("one scale for each channel; channels equalized", ["--repair=equalize"]),
    ("one scale for each channel; biases corrected", ["--repair=bias"]),
    ("one scale for each channel; weights compensated", ["--repair=compensate"]),
    ("one scale for each channel; compensated and corrected: the default", ["--repair=compensate,bias"]),
    ("one scale for each channel; equalized, compensated and corrected", ["--repair=all"]),
)
PARTS = {
    "CONV weights": "weights of convolutions",
    "FC weights": "weights of FC layers",
    "layer activations": "activations",
    "combination": "all three",
}


class Net:
    """A net, its weights, and the sets of pictures that score it, each with the pictures that ranges come from."""

    def __init__(self, name, model, weights, sets, more=()):
        self.name, self.sets = name, sets
        self.arguments = [f"--model={model}", f"--weights={weights}", *more]

    def stem(self, number):
        return self.name.lower().replace(" ", "_") + ("" if len(self.sets) == 1 else f"_{'ab'[number]}")


def nets_in(data):
    squeezenet, lenet, cifar = data / "squeezenet", data / "lenet", data / "cifar10_full"
    a = f"images:{data}/imagenet1k-sample/dev/labels.txt"
    b = f"images:{data}/imagenet-val-sample/dev/labels.txt"
    crossed = [(a, b), (b, a)]  # ranges never come from the pictures that score
    return [
        Net("SqueezeNet v1.1", squeezenet / "squeezenet_v1.1_train_val.prototxt",
            squeezenet / "squeezenet_v1.1.caffemodel", crossed),
        Net("SqueezeNet v1.0", squeezenet / "squeezenet_v1.0_train_val.prototxt",
            squeezenet / "squeezenet_v1.0_deepcompression.caffemodel", crossed),
        Net("LeNet", lenet / "lenet_train_test.prototxt", lenet / "lenet_iter_10000.caffemodel",
            [(f"idx:{data}/mnist", None)]),
        Net("cifar10_full", cifar / "cifar10_full_train_test.prototxt", cifar / "cifar10_full_iter_70000.caffemodel",
            [(f"cifar10:{data}/cifar10", None)], [f"--mean_file={cifar}/mean.binaryproto"]),
    ]


class Tool:
    def __init__(self, build, folder):
        self.program = build / "examples/tool/ristretto"
        self.bench = build / "benchmarks/net_bench"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, name, arguments):
        """The results of a command; None where it says that there are no such formats."""
        path, command, new = (self.folder / f"{name}.{kind}" for kind in ("json", "command", "new"))
        words = "\n".join(map(str, arguments)) + "\n"
        if not path.exists() or not command.exists() or command.read_text() != words:
            done = subprocess.run([self.program, *arguments, f"--json={new}", "--quiet"], capture_output=True, text=True)
            if done.returncode == 1 and "there are no formats of these widths" in done.stderr:
                new.write_text("null")
            elif done.returncode not in (0, 3):
                sys.exit(f"{name}: exit code {done.returncode}\n{done.stderr}")
            command.write_text(words)
            new.rename(path)
            print(f"{name}: done", file=sys.stderr, flush=True)
        return json.loads(path.read_text())

    def quantize(self, net, mode, rule, more, title):
        results = []
        for number, (pictures, ranges) in enumerate(net.sets):
            stem = f"{net.stem(number)}_{mode}_{rule}_{title}"
            results.append(self.run(stem, [
                "quantize", *net.arguments, f"--data={pictures}", *([f"--ranges_data={ranges}"] if ranges else []),
                f"--trimming_mode={mode}", *RULES[rule], f"--model_quantized={self.folder}/{stem}.prototxt",
                *more]))
        return results

    def test(self, name, arguments):
        hits = self.folder / f"{name}.csv"
        return self.run(name, ["test", *arguments, f"--hits={hits}"]), hits

    def net_bench(self):
        path = self.folder / "net_bench.txt"
        if not path.exists():
            path.write_text(subprocess.run([self.bench], capture_output=True, text=True, check=True).stdout)
        return path.read_text()


def pooled(parts):
    """(difference, standard error, pictures) of sets with as much each."""
    count = sum(n for _, _, n in parts)
    return (sum(d * n for d, _, n in parts) / count,
            math.sqrt(sum((e * n) ** 2 for _, e, n in parts)) / count, count)


def points(difference, error):
    return f"{100 * difference:+.2f} ± {100 * error:.2f}"


def trial(results, part):
    """The difference of this part alone, or of all; None where it was not tried."""
    found = []
    for result in results:
        rows = [t for t in result["trials"] if t["part"] == part] if result else []
        if not rows:
            return "none"
        found.append((rows[0]["difference"], rows[0]["standard_error"], result["pictures"]))
    difference, error, _ = pooled(found)
    return points(difference, error)


def paired_values(path, reference):
    """The difference of two files of hits, its standard error and the number of pictures, as in the tool's trials."""
    def hits(file):
        rows = [line.split(",") for line in file.read_text().split()]
        column = rows[0].index("accuracy")
        return [int(row[column]) for row in rows[1:]]
    a, b = hits(path), hits(reference)
    assert len(a) == len(b)
    changes = [x - y for x, y in zip(a, b)]
    mean = sum(changes) / len(changes)
    return (mean, math.sqrt(max(0, sum(c * c for c in changes) / len(changes) - mean**2) / len(changes)),
            len(changes))


def paired(path, reference):
    return points(*paired_values(path, reference)[:2])


def processor():
    """Its name, as Linux gives it, and how many cores there are."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {os.cpu_count()} cores"


def print_row(*cells):
    print("| " + " | ".join(str(c) for c in cells) + " |")


def print_head(*cells):
    print_row(*cells)
    print_row(*("---" for _ in cells))


def print_float(tool, nets):
    print("## In float\n")
    print_head("net", "pictures", "top-1, %", "top-5, %")
    for net in nets:
        found = [tool.test(f"{net.stem(n)}_float", [*net.arguments, f"--data={pictures}"])[0]
                 for n, (pictures, _) in enumerate(net.sets)]
        count = sum(f["pictures"] for f in found)

        def mean(name):
            if name not in found[0]["scores"]:
                return ""
            return f"{100 * sum(f['scores'][name] * f['pictures'] for f in found) / count:.2f}"
        print_row(net.name, " + ".join(str(f["pictures"]) for f in found), mean("accuracy"), mean("accuracy_top5"))


def print_dynamic(tool, nets):
    print_head("net", "trimmed", "rule", *(f"{w} bits" for w in WIDTHS))
    for net in nets:
        found = {(rule, width): tool.quantize(net, "dynamic_fixed_point", rule,
                                              [f"--widths={width}", "--error_margin=100"], width)
                 for rule in RULES_SIDE_BY_SIDE for width in WIDTHS}
        has_fc = any(layer["type"] == "InnerProduct" for layer in found["ours", 16][0]["layers"])
        for part, name in PARTS.items():
            if part == "FC weights" and not has_fc:
                continue
            if part == "combination" and not has_fc:
                name = "both"
            for rule in RULES_SIDE_BY_SIDE:
                print_row(net.name, name, rule, *(trial(found[rule, w], part) for w in WIDTHS))


def print_mode(tool, nets, mode):
    print_head("net", "rule", *(f"{w} bits" for w in WIDTHS))
    for net in nets:
        for rule in RULES_SIDE_BY_SIDE:
            row = [trial(tool.quantize(net, mode, rule, [f"--widths={w}", "--error_margin=100"], w), "net")
                   for w in WIDTHS]
            print_row(net.name, rule, *row)


def print_search(tool, nets):
    print_head("net", "rule", "bits of CONV weights, FC weights, activations", "difference", "scorings", "seconds")
    for net in nets:
        for rule in SEARCH_RULES:
            results = tool.quantize(net, "dynamic_fixed_point", rule, ["--error_margin=2"], "search")
            for number, result in enumerate(results):
                chosen, bits = result["chosen"], result["chosen"]["widths"]
                has_fc = any(layer["type"] == "InnerProduct" for layer in result["layers"])
                widths = (bits["conv_weights"], bits["fc_weights"] if has_fc else "-", bits["activations"])
                scored = "" if len(results) == 1 else f", set {'ab'[number]}"
                print_row(net.name + scored, rule, ", ".join(str(w or "float") for w in widths),
                          points(chosen["difference"], chosen["standard_error"]), len(result["trials"]),
                          f"{result['seconds']:.0f}")


def repair(results, name):
    """The difference, and the divergence, of a net after this repair; without a name, of the one that was chosen."""
    rows = [[r for r in result["repairs"] if r["name"] == name] if name else [result["chosen"]] for result in results]
    if not all(rows):
        return "", ""
    found = [(row[0]["difference"], row[0]["standard_error"], result["pictures"]) for row, result in zip(rows, results)]
    difference, error, count = pooled(found)
    divergence = sum(row[0]["divergence"] * result["pictures"] for row, result in zip(rows, results)) / count
    return points(difference, error), f"{divergence:.4f}"


def seconds(results):
    return f"{sum(r['seconds'] for r in results) / len(results):.0f}"


def titled(more):
    """A name for files, from options."""
    return "".join(c if c.isalnum() else "_" for c in "".join(more)).strip("_")


def repaired(tool, net, mode, more):
    """With all pictures of the other set for ranges and repairs."""
    return tool.quantize(net, mode, "repaired", [*more, "--error_margin=100", "--calibration=500"], titled(more))


def print_repaired(tool, net):
    print_head("weights / activations", "original", "ours, rounded to nearest", "weights compensated", "biases corrected",
               "divergence: nearest", "compensated", "corrected", "seconds")
    for title, mode, bits in SETTINGS:
        original = trial(tool.quantize(net, mode, "original", [*bits, "--error_margin=100"], titled(bits)), "combination")
        results = repaired(tool, net, mode, bits)
        steps = [repair(results, name) for name in ("rounded to nearest", "weights compensated", "biases corrected")]
        print_row(title, original, *(s[0] for s in steps), *(s[1] for s in steps), seconds(results))


def print_alternatives(tool, net):
    print_head("", "difference", "divergence", "seconds")
    for title, options in ALTERNATIVES:
        results = repaired(tool, net, DYNAMIC_MODE, [*FOUR_BITS, *options])
        last = results[0]["repairs"][-1]["name"] if results[0]["repairs"] else None
        print_row(title, *repair(results, last), seconds(results))


def print_layers(tool, net):
    print_head("searched and calibrated on", "bits a weight", "there", "on the other set", "trials", "seconds")
    for number, (pictures, others) in enumerate(net.sets):
        stem = f"{net.stem(number)}_layers_weight_bits"
        result = tool.run(stem, ["quantize", *net.arguments, f"--data={others}", f"--ranges_data={others}",
                                 f"--trimming_mode={DYNAMIC_MODE}", "--search=layers", "--cost=weight_bits",
                                 "--error_margin=1", "--calibration=500", f"--journal={tool.folder}/{stem}.journal",
                                 f"--model_quantized={tool.folder}/{stem}.prototxt"])
        _, hits = tool.test(f"{stem}_test", [f"--model={tool.folder}/{stem}.prototxt",
                                             f"--weights={tool.folder}/{stem}.caffemodel", f"--data={pictures}"])
        _, reference = tool.test(f"{net.stem(number)}_float", [*net.arguments, f"--data={pictures}"])
        print_row("set " + "ba"[number], f"{result['mean_weight_bits']:.2f}",
                  points(result["chosen"]["difference"], result["chosen"]["standard_error"]), paired(hits, reference),
                  len(result["trials"]), f"{result['seconds']:.0f}")


def tuned_row(tool, net, title, teaching, runs):
    """A row of nets before and after training; `runs`: for each set of pictures a stem, the description and the weights to
    start from, the solver, and more for `train`."""
    starts, ends, trainings = [], [], []
    for number, (stem, model, weights, solver, more) in enumerate(runs):
        pictures, mean = f"--data={net.sets[number][0]}", net.arguments[2:]
        prefix = tool.folder / f"{stem}_tuned"
        _, reference = tool.test(f"{net.stem(number)}_float", [*net.arguments, pictures])
        start = tool.test(f"{stem}_start", [f"--model={model}", f"--weights={weights}", pictures, *mean])
        trainings.append(tool.run(f"{stem}_training", [
            "train", f"--solver={solver}", f"--model={model}", f"--weights={weights}", *mean, "--shuffle",
            f"--snapshot_prefix={prefix}", *more]))
        end = tool.test(f"{stem}_tuned", [f"--model={model}", pictures, *mean,
                                          f"--weights={prefix}_iter_{trainings[-1]['iteration']}.caffemodel"])
        starts.append((start, reference))
        ends.append((end, reference))

    def cells(found):
        accuracy = sum(scores["scores"]["accuracy"] for (scores, _), _ in found) / len(found)
        difference, error, _ = pooled([paired_values(hits, reference) for (_, hits), reference in found])
        return f"{100 * accuracy:.2f}", points(difference, error)
    print_row(net.name, title, teaching, *cells(starts), *cells(ends), trainings[0]["iteration"],
              f"{sum(t['seconds'] for t in trainings) / len(trainings):.0f}")


def print_tuned(tool, nets, data, solvers):
    squeezenet, _, lenet, cifar = nets
    golden = data / "lenet/ristretto_golden/lenet_quantized_dynamic_fixed_point.prototxt"
    print_head("net", "bits", "taught by", "untrained, %", "difference", "fine-tuned, %", "difference", "iterations",
               "seconds")
    def weights_of(net):
        return net.arguments[1].removeprefix("--weights=")

    tuned_row(tool, lenet, "2, 4, 4: the original's formats", "labels",
              [("lenet_golden", golden, weights_of(lenet), solvers / "lenet_finetune_solver.prototxt",
                [f"--data={lenet.sets[0][0]}"])])
    for net, bits, solver, teacher in (
            (lenet, "2,4,4", "lenet_repaired_solver.prototxt", []),
            (cifar, "4,4,4", "cifar10_full_teacher_solver.prototxt", [f"--teacher={weights_of(cifar)}", "--mirror"])):
        tool.quantize(net, DYNAMIC_MODE, "repaired", [f"--bits={bits}", "--error_margin=100"], "tuned")
        stem = f"{net.stem(0)}_{DYNAMIC_MODE}_repaired_tuned"
        tuned_row(tool, net, bits.replace(",", ", ") + ": ours, repaired", "the net in float" if teacher else "labels",
                  [(f"{net.stem(0)}_repaired", f"{tool.folder}/{stem}.prototxt", f"{tool.folder}/{stem}.caffemodel",
                    solvers / solver, [f"--data={net.sets[0][0]}", "--training_rounding=nearest", *teacher])])
    runs = []
    for number, (_, others) in enumerate(squeezenet.sets):
        stem = f"{squeezenet.stem(number)}_{DYNAMIC_MODE}_repaired_bits_4_4_4"  # of the table above
        runs.append((f"{squeezenet.stem(number)}_repaired", f"{tool.folder}/{stem}.prototxt",
                     f"{tool.folder}/{stem}.caffemodel", solvers / "squeezenet_teacher_solver.prototxt",
                     [f"--data={others}", "--test_iter=0", f"--teacher={weights_of(squeezenet)}",
                      "--training_rounding=nearest"]))
    tuned_row(tool, squeezenet, "4, -, 4: ours, repaired", "the net in float", runs)


def main():
    source = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=source / "build/release", help="where the tool was built")
    parser.add_argument("--results", type=pathlib.Path, default=source / "build/results", help="where results are kept")
    options = parser.parse_args()
    if not os.environ.get("RISTRETTO_DATA"):
        sys.exit("RISTRETTO_DATA names no folder: set it to the one that holds data/ with the published nets")
    data = pathlib.Path(os.environ["RISTRETTO_DATA"]).resolve() / "data"
    nets = nets_in(data)
    tool = Tool(options.build, options.results)

    print(TITLE)
    print_float(tool, nets)
    print(DYNAMIC)
    print_dynamic(tool, nets)
    print(MINIFLOAT)
    print_mode(tool, nets, "minifloat")
    print(POWERS)
    print_mode(tool, nets, "integer_power_of_2_weights")
    print(SEARCH)
    print_search(tool, nets)
    print(REPAIRED)
    print_repaired(tool, nets[0])
    print(ALTERNATIVE)
    print_alternatives(tool, nets[0])
    print(LAYERS)
    print_layers(tool, nets[0])
    print(TUNED)
    print_tuned(tool, nets, data, source / "examples/tool")
    print(SPEED)
    print("```\n" + processor() + "\n\n" + tool.net_bench() + "```")


TITLE = """# What trimming costs real nets

`benchmarks/results.py` printed this file; with the published nets and pictures at hand

    cmake --workflow --preset release
    RISTRETTO_DATA=FOLDER benchmarks/results.py > docs/results.md

prints it again. It runs `ristretto quantize`, `test` and `train`, and `net_bench`, and pools the sets of a net.

Differences are in percentage points of top-1 accuracy, from the same net in float on the same pictures: the mean of the
paired differences ± its standard error. SqueezeNet (weights of v1.1: as published; of v1.0: of Deep Compression, 67 %
zeros) scores two sets of 500 ImageNet pictures (a: imagenet1k-sample, b: imagenet-val-sample), and the table gives the
mean over all 1000; when one set scores, ranges come from 320 pictures of the other. The sets are no unbiased samples of
ImageNet: the differences mean something, the accuracies in float are not those of ImageNet. LeNet scores the 10,000 test
pictures of MNIST with ranges from 640 for training, cifar10_full the 10,000 of CIFAR-10 (in this data once JPEG-coded)
with ranges from 1000 for training.

"original" is `--ranges=ristretto2016`: the rules, ties and signed activations of 2016. "ours" are our formats with
`--repair=none`: least squared error (for the scores that end a net, the least divergence of their softmax), a scale for
each output channel of the weights (all scales are powers of two), ties to even, unsigned where nothing is negative, biases
with 16 bits or more. "repaired" is the default, with compensated rounding and corrected biases. Nothing is trained
unless said.
"""

DYNAMIC = """
## Dynamic fixed point

`quantize --trimming_mode=dynamic_fixed_point --widths=N --error_margin=100`: one part trimmed to N bits and the others in
float, then all together.
"""

MINIFLOAT = """
## Minifloat

`--trimming_mode=minifloat`: weights and activations in N bits. The original gives the net one format, with 4 or more
exponent bits, so that there is none of few bits; ours has one for each tensor with the bias that suits it, for each
channel of the weights, and no infinities or NaN.
"""

POWERS = """
## Power-of-two weights

`--trimming_mode=integer_power_of_2_weights`: weights of 4 bits, activations in dynamic fixed point of N bits. The
original's weights are ±2^-8 to ±2^-1, without zero; ours have a zero and exponents chosen for the channel.
"""

SEARCH = """
## The guide's command

`quantize --trimming_mode=dynamic_fixed_point --error_margin=2` with the widths 16, 8, 4, 2, 1, for each set of pictures: what
it chooses. The original combines what each part bears alone; ours gives back bits until the whole net holds the margin.
"""

REPAIRED = """
## Fewer bits without training

SqueezeNet v1.1, bits of weights / activations, both sets by cross-fitting: ranges and repairs come from the 500 pictures of
the set that does not score, without their labels. `quantize --bits=... --calibration=500` in each trimming mode prints what
each repair brought; "original" is the same widths by the original's rules. Divergence: Kullback-Leibler, of the softmax of
the trimmed net from that of the net in float, the mean over the pictures; it tells nets apart that accuracy on 1000
pictures cannot. Seconds: of a whole command for one set, with five scorings.
"""

ALTERNATIVE = """
### What brought what

4-bit weights, 8 in the first and the last layer, 8-bit activations: `--bits=4,4,8 --ends=8 --calibration=500`, each step
switched on or off.
"""

LAYERS = """
### Layer by layer

`quantize --search=layers --cost=weight_bits --error_margin=1`: the bits of each layer, searched, repaired and scored on one
set ("there"), and then scored on the other, which the search has not seen.
"""

TUNED = """
## Fine-tuning

`ristretto train` with shadow weights and trimmed activations, on the training pictures (60,000 of MNIST, 20,000 of
CIFAR-10, all that the data has, mirrored at random) or, for SqueezeNet, on the 500 pictures of the set that does not score;
the solvers are in examples/tool. The net in float teaches without labels. Weights are rounded stochastically in the first
row and to nearest in the others, which start from repaired weights. One seed each. The first row's rate and length were
tried on the test pictures, so its last digits flatter; the rates of the others, and mirroring, on training pictures that
were held back.
"""

SPEED = """
## Speed

`net_bench`, images per second, on the processor that also took the seconds above:
"""

if __name__ == "__main__":
    main()
