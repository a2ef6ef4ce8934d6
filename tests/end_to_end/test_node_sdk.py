"""The official Node SDK against the real processes: only the base URL and the key are changed."""

import orjson

from tests.sdk_node.node import HERE, run_node
from tests.support.stack import RunningStack


async def test_every_method_of_the_node_sdks_campaigns_client_works_in_both_generations(shared_stack: RunningStack) -> None:
    keys = {"RINGFOLD_KEY": await shared_stack.create_key("node"), "OTHER_KEY": await shared_stack.create_key("node-other")}
    printed = orjson.loads(await run_node(HERE / "campaigns.mjs", RINGFOLD_URL=shared_stack.api_url, **keys))
    assert printed["called"] == printed["methods"]
    assert len(printed["methods"]) >= 11
