"""Makes the dashboards of Grafana of what `boards.yml` says: `python dashboards/build.py`.

The JSON is committed, since the machine has no use for what makes it; a contract test holds both together.
"""

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

HERE = Path(__file__).parent
BOARDS = yaml.safe_load((HERE / "boards.yml").read_text(encoding="utf-8"))
SOURCE = DataSourceRef(type_val="prometheus", uid="luckygas")
COLUMNS = 24
SIZES = {"figure": (4, 4), "lines": (12, 8)}


def kind(panel: Mapping[str, Any]) -> str:
    """Tell whether a panel is one figure, or its course."""
    return "figure" if "figure" in panel else "lines"


def built(panel: Mapping[str, Any], place: GridPos) -> stat.Panel | timeseries.Panel:
    """Return a panel with its queries, named A, B, ... in their order."""
    if kind(panel) == "figure":
        made, queries = stat.Panel().reduce_options(ReduceDataOptions().calcs(["lastNotNull"])), {"": panel["figure"]}
    else:
        legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        made, queries = timeseries.Panel().legend(legend.show_legend(show_legend=True)).fill_opacity(10), panel["lines"]
    made = made.title(panel["title"]).description(panel["says"]).datasource(SOURCE)
    made = made.unit(panel.get("unit", "short")).grid_pos(place)
    for letter, (shown, query) in zip(string.ascii_uppercase, queries.items(), strict=False):
        asked = prometheus.Dataquery().expr(query).legend_format(shown).ref_id(letter).datasource(SOURCE)
        made = made.with_target(asked)
    return made


def page(board: Mapping[str, Any]) -> str:
    """Return a dashboard as Grafana reads it: its panels from left to right, and below when there is no room."""
    made = dashboard.Dashboard(f"Lucky Gas: {board['title']}").uid(f"luckygas-{board['name']}").tags(["luckygas"])
    made = made.refresh("30s").time("now-6h", "now").timezone("browser").readonly()
    x = y = row = 0
    for number, panel in enumerate(board["panels"], start=1):
        width, height = SIZES[kind(panel)]
        if x + width > COLUMNS:
            x, y, row = 0, y + row, 0
        made = made.with_panel(built(panel, GridPos(h=height, w=width, x=x, y=y)).id(number))
        x, row = x + width, max(row, height)
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all, and remove what is no dashboard any more."""
    for old in HERE.glob("*.json"):
        old.unlink()
    for board in BOARDS:
        (HERE / f"{board['name']}.json").write_text(page(board), encoding="utf-8")


if __name__ == "__main__":
    main()
