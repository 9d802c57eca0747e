"""Speed and memory of the training loop, each speed as a ratio within one run.

    python benchmarks/throughput.py            # everything but the peers
    python benchmarks/throughput.py --only loops hessian
    make bench-peers                           # SBX and Stable-Baselines3

Everything runs on one core at batch 128 (TD3 100, SAC 256) with one update an
environment step. Ratios are the median over rounds of taking turns, with the least and
the greatest.
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

import contest
import products

from smoothie_tf import program

FOLDER = pathlib.Path(__file__).parent
PEERS_PYTHON = FOLDER.parent / ".venv-peers" / "bin" / "python"
KL_PENALTY = "SmoothieAgent.kl_penalty=0.01"
TASK = "HalfCheetah-v5"
PRODUCT_SIZE = 2048


def _ours(name, core, *arguments):
    return contest.Contender(
        name, [sys.executable, str(FOLDER / "contenders.py"), *arguments], core
    )


def _finish(contenders):
    for contender in contenders:
        contender.stop()


def _row(what, values, unit="", digits=2):
    print(f"| {what} | {contest.spread(values, digits)}{unit} |", flush=True)


def loops(flags: argparse.Namespace) -> None:
    """Whole loops: Smoothie's and DDPG's against TF-Agents' stock DDPG loop."""
    stock = _ours("TF-Agents' stock DDPG loop", flags.core, "stock", TASK)
    smoothie = _ours("Smoothie", flags.core, "ours", "smoothie", TASK, KL_PENALTY)
    ddpg = _ours("our DDPG loop", flags.core, "ours", "ddpg", TASK)
    contenders = [stock, smoothie, ddpg]
    rates = contest.alternate(contenders, flags.rounds, flags.steps)
    _finish(contenders)
    for name, values in rates.items():
        _row(f"{name}, {TASK}, steps a second", values, digits=0)
    for contender in (smoothie, ddpg):
        ratio = contest.ratios(rates[contender.name], rates[stock.name])
        _row(f"{contender.name} against the stock loop, {TASK}", ratio, "×")


def two_critics(flags: argparse.Namespace) -> None:
    """Whole loops: TD3's and SAC's against TF-Agents' stock loop of each."""
    for agent, name in (("td3", "TD3"), ("sac", "SAC")):
        stock = _ours(f"TF-Agents' stock {name}", flags.core, "stock", TASK, agent)
        # TD3's own 10,000 uniform steps of this task train nothing.
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
        _finish(contenders)
        for each in contenders:
            _row(f"{each.name}, {TASK}, steps a second", wall[each], digits=0)
            _row(f"{each.name}, processor time a step", process[each], " ms", 1)
        what = f"{ours.name} against its stock loop, {TASK}"
        _row(what, contest.ratios(wall[ours], wall[stock]), "×")
        # What others' programs take of a busy machine is not in it.
        ratio = contest.ratios(process[stock], process[ours])
        _row(f"{what}, by processor time", ratio, "×")


def peers(flags: argparse.Namespace) -> None:
    """Whole loops: Smoothie's against the DDPG of SBX and of Stable-Baselines3."""
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
    _finish([smoothie, *others])
    for name, values in rates.items():
        _row(f"{name}, {TASK}, steps a second", values, digits=0)
    for other in others:
        ratio = contest.ratios(rates[smoothie.name], rates[other.name])
        _row(f"Smoothie against {other.name}, {TASK}", ratio, "×")


def hessian(flags: argparse.Namespace) -> None:
    """The update alone, with the Hessian propagated forward and by nested tapes."""
    arguments = ("update", "smoothie", "Humanoid-v5", KL_PENALTY)
    nested = "SmoothieAgent.nested_tapes=True"
    contenders = [
        _ours("propagated", flags.core, *arguments),
        _ours("nested", flags.core, *arguments, nested),
        _ours("propagated alone", flags.core, "derivatives", "Humanoid-v5"),
        _ours("nested alone", flags.core, "derivatives", "Humanoid-v5", nested),
    ]
    rates = contest.alternate(contenders, flags.rounds, flags.steps // 2)
    _finish(contenders)
    for suffix, what in (
        ("", "update with the forward-propagated Hessian against nested tapes"),
        (" alone", "gradient and Hessian alone, propagated against nested"),
    ):
        ratio = contest.ratios(rates["propagated" + suffix], rates["nested" + suffix])
        _row(f"{what}, Humanoid-v5", ratio, "×")
    # An update from which nested tapes' whole call is taken away, and nothing put back.
    bound = [
        1 / (1 - update / alone)
        for update, alone in zip(rates["nested"], rates["nested alone"], strict=True)
    ]
    _row("update with derivatives for nothing against nested tapes", bound, "×")


def product(flags: argparse.Namespace) -> None:
    """The rate of an update's products as a share of a large float32 product's.

    In the update, and with nothing but the products themselves compiled as it is: the
    most that it could come to.
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
    _finish(contenders)
    print(f"| operations in products, an update | {operations / 1e6:.0f} million |")
    _row("their rate as a share of a large product's", shares[update], " %")
    _row("the same without anything else in the update", shares[alone], " %")


def pair(flags: argparse.Namespace) -> None:
    """Two runs side by side on two cores, each against itself alone."""
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
    _finish(runs)
    _row("two runs on two cores, each against itself alone", ratios, "×")


def memory(flags: argparse.Namespace) -> None:
    """Memory of full replay and of a run whose replay is full."""
    for what in ("replay_memory", "run_memory"):
        done = subprocess.run(
            [sys.executable, str(FOLDER / "contenders.py"), what],
            capture_output=True,
            text=True,
            check=True,
        )
        print(done.stdout.strip(), flush=True)


def startup(flags: argparse.Namespace) -> None:
    """Seconds from the command to the first environment step."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        run = _ours("start", flags.core, "first_step", "smoothie", "Hopper-v5")
        run.wait()
        seconds.append(time.perf_counter() - started)
        run.stop()
    _row("from the command to the first environment step, Hopper-v5", seconds, " s", 1)


def parts(flags: argparse.Namespace) -> None:
    """Where a step's time goes."""
    command = [sys.executable, str(FOLDER / "contenders.py"), "parts", TASK]
    done = subprocess.run(
        ["taskset", "-c", str(flags.core), *command],
        capture_output=True,
        text=True,
        check=True,
    )
    print(done.stdout.strip(), flush=True)


def scaling(flags: argparse.Namespace) -> None:
    """How the update's cost grows with batch, width, observations and actions."""
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
    contenders = [
        _ours(name, flags.core, "update", "smoothie", task, KL_PENALTY, *bindings)
        for name, (task, *bindings) in variants.items()
    ]
    rates = contest.alternate(contenders, flags.rounds, flags.steps // 4)
    _finish(contenders)
    reference = rates[contenders[0].name]
    for name, values in rates.items():
        _row(f"cost of an update, {name}", contest.ratios(reference, values), "×")


VARIANTS = {
    "full covariance": ("SmoothieAgent.covariance = 'full'",),
    "covariance by state": ("SmoothieAgent.covariance = 'state_diagonal'",),
    "full covariance by state": ("SmoothieAgent.covariance = 'state_full'",),
    "weights 1/q": ("SmoothieAgent.importance_weight_clipping = 5.0",),
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
    """The update of each variant of Smoothie against the default's."""
    default = _ours("default", flags.core, "update", "smoothie", TASK, KL_PENALTY)
    others = [
        _ours(name, flags.core, "update", "smoothie", TASK, KL_PENALTY, *bindings)
        for name, bindings in VARIANTS.items()
    ]
    rates = contest.alternate([default, *others], flags.rounds, flags.steps // 4)
    _finish([default, *others])
    for name in VARIANTS:
        ratio = contest.ratios(rates["default"], rates[name])
        _row(f"cost of an update, {name}, {TASK}", ratio, "×")


SVG_EPISODE = 1000
SWIMMER, CARTPOLE = "smoothie_tf/Swimmer3-v0", "smoothie_tf/CartpoleSwingup-v0"


def svg(flags: argparse.Namespace) -> None:
    """The SVG family: SVG(∞)'s update, and the loop of SVG(1)-ER, with their limits."""
    update = _ours("SVG(∞)", flags.core, "svg_infinity", SWIMMER, str(SVG_EPISODE))
    loop = _ours("SVG(1)-ER", flags.core, "ours", "svg1_er", CARTPOLE)
    large = _ours("product", flags.core, "product")
    for contender in (update, loop, large):
        contender.wait()
    # Whole episodes of cart-pole, 250 steps each, as training follows their ends.
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
    _finish([update, loop, large])
    what = f"SVG(∞), an update on {SVG_EPISODE:,} steps, {SWIMMER}"
    _row(what, [1e3 * each for each in seconds[update]], " ms")
    _row(f"{what}, products alone", [1e3 * each for each in limits[update]], " ms")
    what = f"SVG(1)-ER, steps a second, {CARTPOLE}"
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
        "from smoothie_tf.training import run_directory as r; import json;"
        "print(json.dumps(r.provenance()))"
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


def main() -> None:
    """Prints the sections that the command names as rows of a table."""
    parser = contest.flags(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--peers", action="store_true", help="only the peers")
    flags = parser.parse_args()
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
