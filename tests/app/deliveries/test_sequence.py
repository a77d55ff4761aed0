from hypothesis import given
from hypothesis import strategies as st

from luckygas.deliveries.sequence import plain

ADDRESSES = st.lists(
    st.builds(
        "{}{}路{}號".format,
        st.sampled_from(["臺北市大安區", "臺北市信義區", "新北市板橋區"]),
        st.sampled_from(["和平", "信義", "中山", "文化"]),
        st.integers(1, 300),
    ),
    max_size=15,
)


@given(ADDRESSES)
def test_every_stop_is_visited_once(stops: list[str]) -> None:
    tour = plain("臺北市大安區和平路1號", stops)
    assert sorted(tour) == list(range(len(stops)))


def test_neighbours_follow_each_other() -> None:
    stops = ["新北市板橋區文化路9號", "臺北市大安區和平路20號", "新北市板橋區文化路7號", "臺北市大安區和平路22號"]
    tour = plain("臺北市大安區和平路1號", stops)
    assert abs(tour.index(0) - tour.index(2)) == 1
    assert abs(tour.index(1) - tour.index(3)) == 1
