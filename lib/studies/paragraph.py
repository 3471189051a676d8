"""The methods of a sweep as one paragraph of prose: to copy into a paper and go on from there.

A stage gives a sentence if a finished result rests on it, and if its result is read as the sentence says. Numbers are
settings where a stage does what they say or fails. Where it may give less than was asked for, they are what it gave,
which the study knows (`done`). Settings that no sentence names are in the report's list of settings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.base.errors import counted, listed
from lib.plans.plan import Leaf, Plan, Task
from lib.studies import model_names

FEW = 8  # values of a setting that are spelled one by one

READ_AS = "read as"  # as a key: `stage.input` of the readers, of which the task must have one
SMALL = ("score_generations.small",)  # ranks texts, and is not attacked
ATTACKED = ("generate.model", "finetune.model", "reference_scores.reference", "score_windows.model")

# (stage, keys that a task must have with this value, sentence). A key in braces is the setting's values in the plan.
SENTENCES: Sequence[tuple[str, dict[str, Any], str]] = (
    ("hub_model", {}, "We used {repo} from the Hugging Face hub."),
    ("gguf_model", {"file": ""}, "We used the weights in the package {package}."),
    ("gguf_model", {}, "We used the weights {file} from the package {package}."),
    ("folder_model", {}, "We used {folders}, read from local folders."),
    (
        "repeated_text",
        {READ_AS: ("prompts.passages",)},
        "We planted passages of {passage_characters} characters {repetitions} times in a training "
        "text made of the files of Python packages.",
    ),
    (
        "planted_text",
        {"plant": True},
        "We planted passages of {original} in a training text ({length} tokens each): {copies} exact copies, or {near} "
        "near-duplicates beside {beside} exact copies. Near-duplicates have {replaced} replaced tokens, or are "
        "translations ({translations}).",
    ),
    (
        "pretrain",
        {"objective": "causal", READ_AS: ATTACKED},
        "We trained causal language models ({architecture}; layers {layers}, width "
        "{width}, vocabulary {vocab_size}) from scratch for {steps} steps on batches of {batch_size} sequences of "
        "{context} tokens, at a learning rate of {learning_rate}.",
    ),
    (
        "canaries",
        {"role": "member"},
        "Member canaries were sampled from the reference model: {n} of {length} tokens, temperature {temperature}, "
        "top-k {top_k} (0: every token), top-p {top_p}. As many non-member canaries were made in the same way and stay "
        "out of training.",
    ),
    (
        "corpus_canaries",
        {"role": "member"},
        "Canaries with near-duplicates were also taken from a corpus: {n} of {length} tokens.",
    ),
    ("books", {"source": "hub"}, "The training text is {n_books} books of {repo}."),
    ("books", {"source": "text"}, "The training text is {n_books} documents of the documentation of Python packages."),
    ("inject", {}, "Each member was planted in a document, {copies} times in all."),
    ("duplicates", {}, "A fuzzy setting plants the canary once, and {variations} altered copies of it."),
    (
        "finetune",
        {},
        "The target was then fine-tuned: epochs {epochs}, learning rate {learning_rate} ({schedule} schedule), weight "
        "decay {weight_decay}, batches of {batch_size} sequences of {context} tokens, precision {precision}.",
    ),
    (
        "membership",
        {},
        "Membership inference attacks ({attacks}) scored members and non-members under each target, and the AUC of an "
        "attack is computed from these scores.",
    ),
    (
        "extraction",
        {},
        "Each target was prompted with the first {prompt_tokens} tokens of every canary, and the next "
        "{suffix_tokens} tokens were compared.",
    ),
    ("corpus", {}, "The corpus is {repo}{path}."),
    (
        "prompts",
        {"source": "hub"},
        "Prompts are passages of {repo} ({number}). Each has {prompt_tokens} tokens and a true suffix of "
        "{suffix_tokens} tokens.",
    ),
    (
        "prompts",
        {},
        "Prompts are from inside documents ({number}). Each has {prompt_tokens} tokens and a true suffix of "
        "{suffix_tokens} tokens.",
    ),
    ("generate", {}, "Each model continued every prompt by {continuation_tokens} tokens, with {how}."),
    (
        "pretrain",
        {"objective": "causal", READ_AS: SMALL},
        "Texts are also ranked against a small causal language model ({architecture}; layers {layers}, width {width}, "
        "vocabulary {vocab_size}), which we trained from scratch for {steps} steps on other text, the files of Python "
        "packages. It is not attacked.",
    ),
    (
        "chapters",
        {},
        "We examined chapters of Bible translations ({package}).",
    ),
    (
        "licences",
        {},
        "We examined licence texts of Python packages.",
    ),
    ("audit_texts", {}, "The collections of texts are {collections}{first}."),
    (
        "score_windows",
        {},
        "Windows of {prompt_tokens} tokens of the model as a prompt and {suffix_tokens} as its continuation slid "
        "through each text by {stride} tokens, so that {examined} was examined. One pass over a window gave the "
        "probability p_z of the continuation under sampling at temperature 1 from the {top_k} likeliest tokens.",
    ),
    ("audit", {}, "A continuation counts as extracted where p_z is at least a threshold: {thresholds}."),
    (
        "reference_windows",
        {},
        "A reference model ({reference}) read the text of the same windows in its own tokens, and log-probabilities "
        "per byte were compared.",
    ),
    (
        "fuzzy_windows",
        {},
        "Windows of each text (at most {most}) were also scored with {replaced_tokens} tokens of the continuation "
        "replaced, {variations} times each.",
    ),
    ("tokenize", {"text_key": None}, "The corpus was cut into chunks of token ids: {chunks} in all."),
    ("tokenize", {}, "What was left of it was tokenised again."),
    ("duplicate_groups", {}, "Groups of equal windows of {length} tokens were found by hashes, in {scanned} together."),
    ("exact_duplicates", {}, "Groups of equal windows of {length} tokens were found with a suffix array."),
    (
        "targets",
        {},
        "From groups with about {buckets} copies (tolerance {tolerance}) {targets} were drawn.",
    ),
    (
        "near_duplicates",
        {},
        "Near-duplicates are windows of {scanned} within a distance of {max_distance} of a target.",
    ),
    (
        "exposure",
        {},
        "Near-duplicates were summed up as exact copies, each as ρ of its distance (ρ: {rho}; attack: {attack}).",
    ),
    (
        "text_windows",
        {},
        "Given texts were sought as windows of {length} tokens, at least {min_unique_tokens} of them different.",
    ),
    ("cuts", {"keep": "one"}, "Of equal windows the first stays."),
    ("cuts", {"keep": "none"}, "Of equal windows none stays."),
    ("cuts", {"keep": "all"}, "Equal windows stay, if nothing else speaks against them."),
    ("cleaned", {}, "What goes was cut out of the texts, at borders of characters."),
)


def write(plan: Plan, leaves: Iterable[Leaf], done: Mapping[str, str] | None = None) -> str:
    """The paragraph of the finished leaves of a plan; empty where no stage has a sentence.

    done: key in braces -> what was done, in words, where that may be less than the settings ask for.
    """
    from lib.studies.mosaic import words  # loads every kind of duplicate, which planning does not

    plan = _below(plan, list(leaves))
    done = {**_named(plan), **(done or {})}
    texts = [sentence.format_map(_Values(tasks, done)) for tasks, sentence in _given(plan)]
    texts += [*_replacing(plan), *_controlled(plan)]
    levels: dict[str, set[Any]] = {}
    for leaf in plan.leaves:
        if "kind" in leaf.labels and "level" in leaf.labels:
            levels.setdefault(leaf.labels["kind"], set()).add(leaf.labels["level"])
    made = [f"{words.kind_name(kind)}, {words.level_name(kind)} = {_spelled(found)}" for kind, found in levels.items()]
    texts += [f"The settings compared: {'; '.join(made)}."] if made else []
    seeds = {leaf.labels["seed"] for leaf in plan.leaves if "seed" in leaf.labels}
    return " ".join([*texts, *([f"{'Seeds' if len(seeds) > 1 else 'Seed'}: {_spelled(seeds)}."] if seeds else [])])


def _below(plan: Plan, leaves: list[Leaf]) -> Plan:
    """The plan of some leaves alone, with all that they rest on."""
    needed = {digest for leaf in leaves for digest in leaf.nodes.values()}
    for task in reversed(plan.tasks.values()):  # inputs stand before their users
        needed |= set(task.needs()) if task.digest in needed else set()
    tasks = {digest: task for digest, task in plan.tasks.items() if digest in needed}
    return replace(plan, tasks=tasks, leaves=leaves)


def _given(plan: Plan) -> Iterator[tuple[list[Task], str]]:
    """The sentences of the plan's stages with the tasks that each speaks of, which no earlier one has spoken of."""
    said: set[str] = set()
    readers = _readers(plan)
    for stage, wanted, sentence in SENTENCES:
        mine = [task for digest, task in plan.tasks.items() if task.stage == stage and digest not in said]
        mine = [task for task in mine if _fits(task, wanted, readers.get(task.digest, set()))]
        said |= {task.digest for task in mine}
        if mine:
            yield mine, sentence


def _readers(plan: Plan) -> dict[str, set[str]]:
    """Task -> `stage.input` of all that read it."""
    found: dict[str, set[str]] = {}
    for task in plan.tasks.values():
        for name, given in task.inputs.items():
            for digest in [given] if isinstance(given, str) else given:
                found.setdefault(digest, set()).add(f"{task.stage}.{name}")
    return found


def _fits(task: Task, wanted: Mapping[str, Any], readers: set[str]) -> bool:
    keys = {key: value for key, value in wanted.items() if key != READ_AS}
    return keys.items() <= task.config.items() and (READ_AS not in wanted or not readers.isdisjoint(wanted[READ_AS]))


def _named(plan: Plan) -> dict[str, str]:
    """What the plan knows of models and texts and their own task does not: how a reader tells them apart."""
    own, tasks = model_names.of_tasks(plan), plan.tasks.values()
    read = [str(task.inputs["model"]) for task in tasks if task.stage == "reference_windows"]
    texts = [_collection(task, plan.show_texts) for task in tasks if task.stage == "audit_texts"]
    return {
        "folders": listed([own[task.digest] for task in tasks if task.digest in own and task.stage == "folder_model"]),
        "reference": listed(list(dict.fromkeys(model_names.of_task(plan, digest) for digest in read))),
        "collections": listed(list(dict.fromkeys(texts))),
    }


def _collection(task: Task, shown: bool) -> str:
    """A collection of texts, and where it is from; of local files only where texts may be `shown`."""
    name, local = task.node.removeprefix("texts_"), Path(task.config["path"]).name
    origin = task.config["repo"] or (local if shown else "")
    return f"{name} (from {origin})" if origin else name


def _first(task: Task) -> str:
    """How many texts of a collection were read at most, in words."""
    most = task.config["most"]
    return f", of each the first {counted(most, 'text')}" if most else ""


def _examined(task: Task) -> str:
    """Which share of a text is in a continuation."""
    suffix, stride = task.config["suffix_tokens"], task.config["stride"]
    return "every token behind the first prompt" if stride <= suffix else f"about {suffix} of every {stride} tokens"


def _number(task: Task) -> str:
    """How many prompts were asked for, in words."""
    asked = task.config["n_prompts"]
    return f"{asked:,}{' of each subset' if task.config['per_subset'] else ''}" if asked else a_document(task.config)


def a_document(config: Mapping[str, Any]) -> str:
    """How many prompts a document gives, where all are taken that there are."""
    most = config["per_document"]
    return f"{'one' if most == 1 else f'up to {most}'} of every document that is long enough"


def _targets(task: Task) -> str:
    """How many targets were asked for, in words."""
    return f"{task.config['n_per_bucket']} targets each, and {task.config['n_random']} windows at random,"


def _scanned(task: Task) -> str:
    """The chunks that a task reads, in words."""
    return counted(len(task.inputs["corpus"]), "chunk")


def _how(task: Task) -> str:
    """A decoding in words."""
    decoding = task.config["decoding"]
    if decoding["kind"] == "greedy":
        return "greedy decoding"
    return (
        f"sampling at temperature {decoding['temperature']:g}, top-k {decoding['top_k']}, top-p {decoding['top_p']:g}"
    )


def _attacks(task: Task) -> str:
    """The attacks that the stage membership computes where there is evidence for all."""
    from lib.attacks import scores

    names = [name for name in scores.NAMES if name != "recall" or task.config["recall_shots"]]
    return ", ".join(scores.load(name).LABEL for name in names)


# strategy -> what may stand in place of a token. {k}: of the likeliest ones; {model}: the language model that is asked.
REPLACED_BY = {
    "mlm": "the {k} likeliest tokens of a masked language model ({model})",
    "mlm_random": "the whole vocabulary of a masked language model ({model})",
    "clm": "the {k} tokens that a causal language model ({model}) finds likeliest between the text before and the next "
    "token",
    "clm_random": "the whole vocabulary of a causal language model ({model})",
    "random": "the whole vocabulary of the target",
}


def _replacing(plan: Plan) -> list[str]:
    """How tokens are replaced: a sentence for each strategy and language model."""
    found: dict[tuple[str, str], set[int]] = {}
    for task in plan.tasks.values():
        if task.stage == "fuzzy_windows" or (task.stage, task.config.get("kind")) == ("duplicates", "replace"):
            key = task.config["strategy"], _language_model(plan, task)
            found.setdefault(key, set()).add(task.config["top_k"])
    return [
        f"A replaced token is drawn from {REPLACED_BY[strategy].format(k=_spelled(ks), model=model)}."
        for (strategy, model), ks in found.items()
    ]


def _controlled(plan: Plan) -> list[str]:
    """What the texts of an audit are compared with."""
    collections = {leaf.labels.get("collection") for leaf in plan.leaves}
    if "controls" not in collections:
        return []
    return [
        "Texts were compared with control texts by permutation of documents, and by a bag of words, without a model."
    ]


def _language_model(plan: Plan, task: Task) -> str:
    """The model that says what may replace a token: its name, or that we trained it."""
    asked = plan.tasks.get(str(task.inputs.get("candidates")), task)
    digests = [asked.inputs[name] for name in ("masked_lm", "causal_lm") if name in asked.inputs]
    configs = [plan.tasks[str(digest)].config for digest in digests]
    return next((str(config.get("repo") or config.get("file") or "trained by us") for config in configs), "")


IN_WORDS: Mapping[str, Callable[[Task], str]] = {
    "number": _number,
    "first": _first,
    "examined": _examined,
    "targets": _targets,
    "scanned": _scanned,
    "how": _how,
    "attacks": _attacks,
}


class _Values(dict):
    """key -> what was done, or the values of that setting over some tasks, in words."""

    def __init__(self, tasks: Sequence[Task], done: Mapping[str, str]) -> None:
        super().__init__(done)
        self.tasks = tasks

    def __missing__(self, key: str) -> str:
        found = [IN_WORDS[key](task) if key in IN_WORDS else task.config[key] for task in self.tasks]
        flat = [one for value in found for one in (value if isinstance(value, list | tuple) else [value])]
        return _spelled([one for one in flat if one is not None])


def _spelled(values: Any) -> str:
    """Each value once, in order: `1, 3 and 5`; of many numbers the ends: `1 to 75 (12 values)`."""
    try:
        found = sorted(set(values))
    except TypeError:  # numbers beside texts
        found = sorted(set(values), key=str)
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in found]
    if len(texts) > FEW and not isinstance(found[0], str):
        return f"{texts[0]} to {texts[-1]} ({len(texts)} values)"
    return listed(texts)
