"""Tests marked `mutation` run only where `-m` asks for them."""


def pytest_collection_modifyitems(config, items):
    if "mutation" in config.option.markexpr:
        return
    planted = {item for item in items if item.get_closest_marker("mutation")}
    if planted:
        config.hook.pytest_deselected(items=list(planted))
        items[:] = [item for item in items if item not in planted]
