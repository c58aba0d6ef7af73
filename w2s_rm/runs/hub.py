"""Models on the hub: each training stage of a recipe with `push_to_hub` pushes its own, under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.errors import StageError

_LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


def repository(config: Mapping[str, Any]) -> str:
    """Return where a stage pushes its model: `<hub_model_id>-<run_name>`, without `hub_model_id` just the latter.

    Args:
        config (`Mapping`): A training stage's config.
    """
    return "-".join(str(part) for part in (config.get("hub_model_id"), config.get("run_name")) if part)


def hub_problems(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what keeps training stages from pushing their models: wrong names, a user who is not logged in.

    Args:
        configs (`Sequence[Mapping]`): Stage configs; those without `push_to_hub` are passed over.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    pushed = [config for config in configs if config.get("push_to_hub")]
    problems = []
    for config in pushed:
        try:
            validate_repo_id(repository(config))
        except HFValidationError as error:
            problems.append(f"push_to_hub: {error}; change hub_model_id, or the names of recipe and method")
    # Each login once, for the question goes over the network.
    tokens = dict.fromkeys(config.get("hub_token") for config in pushed)
    return problems + [text for token in tokens for text in _login_problems(token)]


def _login_problems(token: str | None) -> list[str]:
    from huggingface_hub import HfApi, get_token

    if token is None and get_token() is None:
        return [f"push_to_hub is set, and nobody is logged in to the hub: {_LOGIN}"]
    try:
        HfApi(token=token).whoami()
    # The hub's client raises errors of a dozen unrelated types, builtin and from several libraries.
    except Exception as error:
        return [f"push_to_hub is set, and the hub does not know who is logged in ({error}): {_LOGIN}"]
    return []


def push_model(folder: Path, config: Mapping[str, Any]) -> None:
    """Upload a saved model with its card.

    Args:
        folder (`Path`): `model/` of a finished stage.
        config (`Mapping`): The stage's config: `hub_model_id`, `run_name`, `hub_token`, `hub_private_repo`,
            `hub_revision`.

    Raises:
        StageError: The upload failed; the message has the command that does it by hand.
    """
    from huggingface_hub import HfApi

    name, api, revision = repository(config), HfApi(token=config.get("hub_token")), config.get("hub_revision")
    try:
        # Its `repo_id` has the user's name in front, which `repository` may lack and an upload needs.
        created = api.create_repo(name, private=config.get("hub_private_repo"), exist_ok=True)
        if revision:
            api.create_branch(created.repo_id, branch=str(revision), exist_ok=True)
        api.upload_folder(
            repo_id=created.repo_id, folder_path=folder, revision=revision, commit_message="Model and card"
        )
    # As above.
    except Exception as error:
        raise StageError(
            f"{folder}: the model is trained and saved, but could not be pushed ({error}); push it with "
            f"`hf upload {name} {folder}`, then run again to go on"
        ) from error
