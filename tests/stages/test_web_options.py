"""Options of a recipe, and what the machine adds to them."""

from typing import Any

import pytest

from stages.errors import ConfigError
from stages.settings import Settings, load_settings
from stages.web_options import Access, FetchOptions


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", 0),
        ("max_page_bytes", 0),
        ("max_items", -1),
        ("stall_s", 0),
        ("min_rate", -1),
        ("requests_per_s", -0.5),
    ],
)
def test_wrong_options_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"scrape: {field}: expected .*, got {value}"):
        FetchOptions(**{field: value})


def test_the_machine_brings_proxy_cookies_and_a_folder_of_its_own(file_settings: Settings) -> None:
    settings = file_settings.model_copy(update={"cookies_file": "/c.txt"})
    access = Access.of(settings, FetchOptions())
    assert (access.allow_private_hosts, access.proxy, access.cookies_file) == (False, "", "/c.txt")
    assert access.state_folder.startswith(f"{file_settings.cache_dir}/smelter-hosts-")
    assert Access.of(load_settings(proxy="http://u:p@h:1"), FetchOptions()).proxy == "http://u:p@h:1"


@pytest.mark.parametrize(("setting", "option"), [(True, False), (False, True)])
def test_either_may_open_private_hosts(setting: bool, option: bool) -> None:
    settings = load_settings(allow_private_hosts=setting)
    assert Access.of(settings, FetchOptions(allow_private_hosts=option)).allow_private_hosts
