"""The Hugging Face Hub, by its own client: a name is checked, and a folder is sent, where that is asked for."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

from fer_tl.core.errors import UserError, one_line

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")


def check_hub_name(hub: str) -> None:
    """Make sure that a text can name a repository of the Hub.

    Raises:
        UserError: it is not ``OWNER/NAME``.
    """
    parts = hub.split("/")
    good = len(parts) == 2 and all(_NAME.fullmatch(part) and ".." not in part and "--" not in part for part in parts)
    if not good or len(hub) > 96 or hub.endswith(".git"):
        raise UserError(
            f"--hub {hub}: give OWNER/NAME, such as ann/fer-mobilenetv2, of letters, digits, '-', '_' and '.'"
        )


def find_token() -> str:
    """The token to send with, of ``HF_TOKEN`` or of a login.

    Raises:
        UserError: there is none, or the client is not installed.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError("--upload needs huggingface_hub: pip install 'fer-tl[hub]'")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise UserError(
            "--upload needs a token that may write: make one at https://huggingface.co/settings/tokens and put it into "
            "HF_TOKEN; without --upload the folder is written alone"
        )
    return str(token)


def send_folder(folder: Path, hub: str, token: str, message: str) -> str:
    """Send a folder to a repository, which is made, for its owner's eyes alone, where there is none.

    Args:
        folder: all of whose files are sent.
        hub: ``OWNER/NAME``.
        token: that may write there.
        message: of the commit.

    Returns:
        The address of the repository.

    Raises:
        UserError: it could not be sent.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    try:
        made = api.create_repo(hub, repo_type="model", private=True, exist_ok=True)
        api.upload_folder(repo_id=hub, folder_path=folder, commit_message=message)
    except Exception as error:  # of the network, of the Hub, of its client
        why = one_line(error).replace(token, "HF_TOKEN")
        raise UserError(
            f"{hub} could not be sent ({why}): the folder {folder} is whole; mend that, and give the same command again"
        ) from error
    return str(made)
