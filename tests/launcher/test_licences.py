"""Which models of a plan are gated, and what is said of them."""

from lib.launcher import licences
from lib.plans import catalogue, documents, expansion
from lib.plans.plan import Plan


def expanded(name: str, *settings: str) -> Plan:
    return expansion.expand(documents.read(name, "paper", list(settings)), "paper")


def test_every_model_of_a_family_that_the_hub_gates_is_marked() -> None:
    """Llama and Gemma are gated since they are there, Mistral since April 2024; Pythia, Mamba and GPT-Neo are not."""
    found = catalogue.gated_models()
    models = documents.read("prefix_sizes", "paper", [])["vars"]["hub_models"].values()
    owners = {"meta-llama", "google", "mistralai"}
    assert found == {model["repo"] for model in models if "repo" in model and model["repo"].split("/")[0] in owners}


def test_a_plan_names_its_gated_models_until_their_tasks_are_done(monkeypatch) -> None:
    plan = expanded("near_dupls", "models=[gptneo1B,gemma2B]", "seeds=1", "copies=[1,10]", "replaced=5")
    assert licences.gated(plan, ()) == ["meta-llama/Llama-2-7b-hf", "google/gemma-2b"]
    for token, state in (("", "is not"), ("hf_x", "is")):
        monkeypatch.setenv("HF_TOKEN", token)
        (line,) = licences.lines(plan, ())
        assert f"HF_TOKEN=<a token of that account> (it {state} set here)" in line
    assert "https://huggingface.co/meta-llama/Llama-2-7b-hf, https://huggingface.co/google/gemma-2b: log in" in line
    left = {digest for digest, task in plan.tasks.items() if task.config.get("repo") != "google/gemma-2b"}
    assert licences.gated(plan, left) == ["google/gemma-2b"]
    assert licences.lines(plan, plan.tasks) == []
    assert licences.lines(expanded("prefix_sizes", "models=[pythia-160m]"), ()) == []
