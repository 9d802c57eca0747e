"""Measures speed and memory of the training loop; speeds are ratios within one run.

    python benchmarks/throughput.py            # everything except the peers
    python benchmarks/throughput.py --only loops hessian
    make bench-peers                           # SBX and Stable-Baselines3

Everything runs on one core, with batch size 128 (TD3 100, SAC 256) and one update per
environment step. The programs take turns (see contest.py); a ratio is the median over
rounds, with minimum and maximum.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import contest
import products

from smoothie_tf import command_line, program

FOLDER = pathlib.Path(__file__).parent
PEERS_PYTHON = FOLDER.parent / ".venv-peers" / "bin" / "python"
KL_PENALTY = "SmoothieAgent.kl_penalty=0.01"
TASK = "HalfCheetah-v5"
PRODUCT_SIZE = 2048


def _ours(name, core, *arguments):
    return contest.Contender(
        name, [sys.executable, str(FOLDER / "contenders.py"), *arguments], core
    )


def _print(core, what, *arguments):
    """Runs a program of `contenders.py` that prints rows itself."""
    command = [sys.executable, str(FOLDER / "contenders.py"), what, *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )
    print(done.stdout.strip(), flush=True)


def _row(what, values, unit="", digits=2):
    print(f"| {what} | {contest.spread(values, digits)}{unit} |", flush=True)


def loops(flags: argparse.Namespace) -> None:
    """Compares the loops of Smoothie and DDPG with TF-Agents' stock DDPG loop."""
    stock = _ours("TF-Agents' stock DDPG loop", flags.core, "stock", TASK)
    smoothie = _ours("Smoothie", flags.core, "ours", "smoothie", TASK, KL_PENALTY)
    ddpg = _ours("our DDPG loop", flags.core, "ours", "ddpg", TASK)
    rates = contest.alternate([stock, smoothie, ddpg], flags.rounds, flags.steps)
    for name, values in rates.items():
        _row(f"{name}, {TASK}, steps per second", values, digits=0)
    for contender in (smoothie, ddpg):
        ratio = contest.ratios(rates[contender.name], rates[stock.name])
        _row(f"{contender.name} compared with the stock loop, {TASK}", ratio, "×")


def two_critics(flags: argparse.Namespace) -> None:
    """Compares the loops of TD3 and SAC with TF-Agents' stock loops."""
    for agent, name in (("td3", "TD3"), ("sac", "SAC")):
        stock = _ours(f"TF-Agents' stock {name}", flags.core, "stock", TASK, agent)
        # By default TD3 begins with 10,000 steps without updates on this task.
        start = "train.initial_collect_steps=1000"
        ours = _ours(f"our {name} loop", flags.core, "ours", agent, TASK, start)
        contenders = [stock, ours]
        for each in contenders:
            each.wait()
        wall, process = ({each: [] for each in contenders} for _ in range(2))
        for _ in range(flags.rounds):
            for each in contenders:
                each.begin(flags.steps)
                report = each.wait()
                wall[each].append(flags.steps / report["seconds"])
                process[each].append(1e3 * report["process_seconds"] / flags.steps)
        contest.stop(contenders)
        for each in contenders:
            _row(f"{each.name}, {TASK}, steps per second", wall[each], digits=0)
            _row(f"{each.name}, processor time per step", process[each], " ms", 1)
        what = f"{ours.name} compared with its stock loop, {TASK}"
        _row(what, contest.ratios(wall[ours], wall[stock]), "×")
        # Processor time excludes other programs on a busy machine.
        ratio = contest.ratios(process[stock], process[ours])
        _row(f"{what}, by processor time", ratio, "×")


def peers(flags: argparse.Namespace) -> None:
    """Compares Smoothie's loop with the DDPG of SBX and of Stable-Baselines3."""
    if not PEERS_PYTHON.exists():
        sys.exit("The peers are not installed: make bench-peers installs them.")
    smoothie = _ours("Smoothie", flags.core, "ours", "smoothie", TASK, KL_PENALTY)
    others = [
        contest.Contender(
            name,
            [str(PEERS_PYTHON), str(FOLDER / "peer_loops.py"), library, TASK],
            flags.core,
        )
        for library, name in (
            ("sbx", "SBX's DDPG (JAX)"),
            ("sb3", "Stable-Baselines3's DDPG (torch)"),
        )
    ]
    rates = contest.alternate([smoothie, *others], flags.rounds, flags.steps)
    for name, values in rates.items():
        _row(f"{name}, {TASK}, steps per second", values, digits=0)
    for other in others:
        ratio = contest.ratios(rates[smoothie.name], rates[other.name])
        _row(f"Smoothie compared with {other.name}, {TASK}", ratio, "×")


def hessian(flags: argparse.Namespace) -> None:
    """Compares updates with a forward-propagated Hessian and with nested tapes."""
    arguments = ("update", "smoothie", "Humanoid-v5", KL_PENALTY)
    nested = "SmoothieAgent.nested_tapes=True"
    contenders = [
        _ours("propagated", flags.core, *arguments),
        _ours("nested", flags.core, *arguments, nested),
        _ours("propagated alone", flags.core, "derivatives", "Humanoid-v5"),
        _ours("nested alone", flags.core, "derivatives", "Humanoid-v5", nested),
    ]
    rates = contest.alternate(contenders, flags.rounds, flags.steps // 2)
    for suffix, what in (
        ("", "update with the forward-propagated Hessian compared with nested tapes"),
        (" alone", "gradient and Hessian alone, propagated compared with nested"),
    ):
        ratio = contest.ratios(rates["propagated" + suffix], rates["nested" + suffix])
        _row(f"{what}, Humanoid-v5", ratio, "×")
    # The upper limit: an update without any time for the derivatives.
    bound = [
        1 / (1 - update / alone)
        for update, alone in zip(rates["nested"], rates["nested alone"], strict=True)
    ]
    _row("the same, if derivatives took no time", bound, "×")


def product(flags: argparse.Namespace) -> None:
    """Compares the rate of an update's products with that of a large float32 product.

    Products are measured in the update, and in a call with only the products, compiled
    in the same way. The latter is the upper limit.
    """
    update = _ours("update", flags.core, "update", "smoothie", TASK, KL_PENALTY)
    alone = _ours("alone", flags.core, "update_products", "17", "6")
    large = _ours("product", flags.core, "product")
    contenders = [update, alone, large]
    for contender in contenders:
        contender.wait()
    operations = sum(each.operations for each in products.of_update(17, 6))
    shares: dict[contest.Contender, list[float]] = {update: [], alone: []}
    for _ in range(flags.rounds):
        reference = large.rate(5) * 2 * PRODUCT_SIZE**3
        for contender, values in shares.items():
            values.append(100 * contender.rate(flags.steps) * operations / reference)
    contest.stop(contenders)
    print(f"| operations in products per update | {operations / 1e6:.0f} million |")
    _row("their rate as a share of a large product's rate", shares[update], " %")
    _row("the same, with only the products in the call", shares[alone], " %")


def pair(flags: argparse.Namespace) -> None:
    """Compares two parallel runs on two cores with each of them alone."""
    runs = [
        _ours(f"run {core}", core, "ours", "smoothie", TASK, KL_PENALTY)
        for core in (0, 1)
    ]
    for run in runs:
        run.wait()
    ratios = []
    for _ in range(flags.rounds):
        alone = [run.rate(flags.steps) for run in runs]
        for run in runs:
            run.begin(flags.steps)
        together = [flags.steps / run.wait()["seconds"] for run in runs]
        ratios += contest.ratios(together, alone)
    contest.stop(runs)
    _row("two runs on two cores, each compared with itself alone", ratios, "×")


def memory(flags: argparse.Namespace) -> None:
    """Measures the memory of a full replay buffer, and of a run with one."""
    for what in ("replay_memory", "run_memory"):
        _print(os.sched_getaffinity(0), what)


def startup(flags: argparse.Namespace) -> None:
    """Measures the seconds from the command to the first environment step."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        run = _ours("start", flags.core, "first_step", "smoothie", "Hopper-v5")
        run.wait()
        seconds.append(time.perf_counter() - started)
        run.stop()
    _row("from the command to the first environment step, Hopper-v5", seconds, " s", 1)


def parts(flags: argparse.Namespace) -> None:
    """Measures the time of each part of a step."""
    _print({flags.core}, "parts", TASK)


def scaling(flags: argparse.Namespace) -> None:
    """Measures the update's cost for other batch sizes, widths and tasks."""
    variants = {"HalfCheetah-v5, batch 128, (400, 300)": (TASK,)}
    for batch_size in (32, 512):
        variants[f"batch {batch_size}"] = (TASK, f"train.batch_size={batch_size}")
    for first, second in ((200, 150), (800, 600)):
        variants[f"widths ({first}, {second})"] = (
            TASK,
            f"MeanNetwork.hidden_units=({first}, {second})",
            f"smoothie_tf.CriticNetwork.observation_units=({first},)",
            f"smoothie_tf.CriticNetwork.joint_units=({second},)",
        )
    variants["Swimmer-v5 (S 8, A 2)"] = ("Swimmer-v5",)
    variants["Humanoid-v5 (S 348, A 17)"] = ("Humanoid-v5",)
    variants["without KL penalty"] = (TASK, "SmoothieAgent.kl_penalty=0.0")
    variants["one minibatch"] = (TASK, "SmoothieAgent.independent_minibatches=False")
    _costs(flags, variants)


def _costs(flags, variants):
    """Compares updates, each of a task and bindings, with the first of them."""
    contenders = [
        _ours(name, flags.core, "update", "smoothie", task, KL_PENALTY, *bindings)
        for name, (task, *bindings) in variants.items()
    ]
    rates = contest.alternate(contenders, flags.rounds, flags.steps // 4)
    reference = rates[contenders[0].name]
    for name, values in rates.items():
        _row(f"cost of an update, {name}", contest.ratios(reference, values), "×")


VARIANTS = {
    "full covariance": ("SmoothieAgent.covariance = 'full'",),
    "covariance by state": ("SmoothieAgent.covariance = 'state_diagonal'",),
    "full covariance by state": ("SmoothieAgent.covariance = 'state_full'",),
    "weights 1/q": ("SmoothieAgent.replay_weight_clipping = 5.0",),
    "evaluation by (16) and (17), 16 samples": (
        "SmoothieAgent.evaluation = 'expected'",
    ),
    "derivative errors, k = 1": (
        "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.0)",
    ),
    "derivative errors, k = 1 and 2, with baseline": (
        "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",
        "SmoothieAgent.derivative_baseline = True",
    ),
    "compatible critic, k = 1 and 2": (
        "create_agent.critic_network = @CompatibleCriticNetwork",
        "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",
    ),
}


def variants(flags: argparse.Namespace) -> None:
    """Compares the update of each variant of Smoothie with the default one."""
    others = {f"{name}, {TASK}": (TASK, *each) for name, each in VARIANTS.items()}
    _costs(flags, {f"default, {TASK}": (TASK,), **others})


SVG_EPISODE = 1000
SWIMMER, CARTPOLE = "smoothie_tf/Swimmer3-v0", "smoothie_tf/CartpoleSwingup-v0"


def svg(flags: argparse.Namespace) -> None:
    """Measures SVG(∞)'s update and SVG(1)-ER's loop, with their lower limits."""
    update = _ours("SVG(∞)", flags.core, "svg_infinity", SWIMMER, str(SVG_EPISODE))
    loop = _ours("SVG(1)-ER", flags.core, "ours", "svg1_er", CARTPOLE)
    large = _ours("product", flags.core, "product")
    for contender in (update, loop, large):
        contender.wait()
    # Complete episodes of cart-pole, 250 steps each: updates follow at their ends.
    slices = {update: flags.steps // 4, loop: 1000}
    seconds, limits = {update: [], loop: []}, {update: [], loop: []}
    operations = {
        update: products.of_svg_infinity(SVG_EPISODE, 10, 2, (50, 50), (20, 20)),
        loop: products.of_svg1_er(5, 1, (100, 100), (200, 100), (20, 20)),
    }
    for _ in range(flags.rounds):
        reference = large.rate(5) * 2 * PRODUCT_SIZE**3
        for contender, steps in slices.items():
            seconds[contender].append(1 / contender.rate(steps))
            limits[contender].append(operations[contender] / reference)
    contest.stop([update, loop, large])
    what = f"SVG(∞), an update on {SVG_EPISODE:,} steps, {SWIMMER}"
    _row(what, [1e3 * each for each in seconds[update]], " ms")
    _row(f"{what}, products alone", [1e3 * each for each in limits[update]], " ms")
    what = f"SVG(1)-ER, steps per second, {CARTPOLE}"
    _row(what, [1 / each for each in seconds[loop]], digits=0)
    _row(f"{what}, products alone", [1 / each for each in limits[loop]], digits=0)


SECTIONS = {
    function.__name__: function
    for function in (
        loops,
        two_critics,
        hessian,
        product,
        pair,
        memory,
        startup,
        parts,
        scaling,
        variants,
        svg,
    )
}


def _machine():
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    probe = (
        "from smoothie_tf import quiet; quiet.silence_imports();"
        "from smoothie_tf.training import provenance as p; import json;"
        "print(json.dumps(p.current()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    provenance = json.loads(said.stdout)
    versions = ", ".join(f"{k} {v}" for k, v in sorted(provenance["versions"].items()))
    load = statistics.fmean(os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores (load {load:.1f} at the start); {versions};"
        f" commit {provenance['commit']}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the measurements of the requested sections as a Markdown table."""
    parser = command_line.Parser(description=__doc__.splitlines()[0])
    add, at_least = parser.add_argument, command_line.AtLeast
    add("--rounds", action=at_least, default=7, help="rounds")
    # Slices of some contests have a quarter of the steps.
    add("--steps", action=at_least, least=4, default=400, help="steps per slice")
    add("--core", type=int, default=0, help="core to run on")
    add("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    add("--peers", action="store_true", help="measure only the peers")
    flags = parser.parse_args(arguments)
    print(
        f"{_machine()}; {flags.rounds} rounds\n\n| what | median (range) |\n|---|---|"
    )
    if flags.peers:
        peers(flags)
        return
    for name in flags.only:
        SECTIONS[name](flags)


if __name__ == "__main__":
    sys.exit(program.run(main))
