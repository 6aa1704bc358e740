"""Whether the configured indexes take the credentials that are configured for them.

uv passes over an index that answers 401 or 403 as if it had not the package. Another index may have
one of the same name, and that would be installed without a word: a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.layered.indexes import uv_index_urls

if TYPE_CHECKING:
    from bigflow_backend.project.requirements import OptionLine

_SECONDS = 15
_REFUSED = {401, 403}
_INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url")
# https://pip.pypa.io/en/stable/reference/requirements-file-format/#using-environment-variables
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")


def check_index_access(
    name: str, *, options: Iterable[OptionLine], environment: Mapping[str, str], project: Path
) -> None:
    """Asks each index for the distribution ``name``.

    ``options`` are those of requirements.txt, ``environment`` is that of uv. An index that is not
    there, or that has no such distribution, is left for uv to tell.

    :raises UserError: when one refuses the user name and password of its URL or of the netrc.
    """
    import requests

    in_file = (
        _VARIABLE.sub(lambda variable: environment.get(variable[1], variable[0]), option.value)
        for option in options
        if option.name in _INDEX_OPTIONS
    )
    for url in dict.fromkeys([*uv_index_urls(environment, project), *in_file]):
        if not url.startswith(("http://", "https://")):
            continue
        try:
            answer = requests.get(f"{url.rstrip('/')}/{name}/", timeout=_SECONDS, stream=True)
        except requests.RequestException:
            continue
        with answer:
            if answer.status_code in _REFUSED and "Authorization" in answer.request.headers:
                shown = _CREDENTIALS.sub("", url)
                raise UserError(
                    f"the index {shown} answered {answer.status_code}: it refuses the user name"
                    " and password that are configured for it",
                    hint="correct them, in its URL or in the netrc",
                )
