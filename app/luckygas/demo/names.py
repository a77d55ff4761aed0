"""Who lives and cooks there: names, phone numbers and tax numbers as Taiwan has them."""

from random import Random
from typing import Final

from luckygas.customers.models import CustomerKind
from luckygas.taiwan import passes_tax_check

# Twenty names are three quarters of the island; each stands here as often as it is borne by a hundred people.
_SURNAMES: Final = (
    "陳" * 11 + "林" * 8 + "黃" * 6 + "張" * 5 + "李" * 5 + "王" * 4 + "吳" * 4 + "劉" * 3 + "蔡" * 3 + "楊" * 3
    + "許" * 2 + "鄭" * 2 + "謝" * 2 + "郭" * 2 + "洪" * 2 + "曾" * 2 + "邱" * 2 + "廖" * 2
    + "賴徐周葉蘇莊江呂何羅高蕭潘簡朱鍾"
)  # fmt: skip
_FIRST: Final = "志俊建家文明淑美雅秀麗惠玉怡佳宗國柏冠宜婉詩承品子宥思欣秉彥振永春金"
_SECOND: Final = "明豪偉宏傑華芬玲惠娟珍雯婷君儀蓉萱翰霖廷安恩榮輝成雄龍芳慧貞如真軒瑋銘"
_DISHES: Final = tuple(
    "牛肉麵 小吃店 便當 滷肉飯 海鮮餐廳 熱炒 羊肉爐 火鍋 水餃館 豆漿店 麵館 快炒 素食 臭豆腐 燒臘 鵝肉".split()
)
_TRADES: Final = tuple("早餐店 麵包坊 洗衣店 豆花店 美髮 自助洗衣 飲料店 餅店 豆腐坊 雜貨店 民宿 花生行".split())
_STORES: Final = tuple(
    "阿明 老張 福記 永和 大眾 好味 金龍 順發 鴻運 萬家香 阿婆 三姊妹 海口 在地 巷口 祥記 正記 大碗公".split()
)


def name(kind: CustomerKind, rng: Random) -> str:
    """Return what a customer of this kind may be called."""
    person = rng.choice(_SURNAMES) + rng.choice(_FIRST) + rng.choice(_SECOND)
    if kind == CustomerKind.HOUSEHOLD:
        return person
    store = rng.choice(_STORES) if rng.random() < 0.6 else person[1:] if rng.random() < 0.5 else f"{person[0]}記"
    return store + rng.choice(_DISHES if kind == CustomerKind.RESTAURANT else _TRADES)


def mobile(rng: Random) -> str:
    """Return a mobile number."""
    return f"09{rng.randrange(10**8):08}"


def tax_number(rng: Random) -> str:
    """Return a tax number (統一編號) that passes its check."""
    start = rng.randrange(1, 10**7)
    first = rng.randrange(10)
    # Whatever the first seven digits are, one of ten last ones fits.
    return next(digits for step in range(10) if passes_tax_check(digits := f"{start:07}{(first + step) % 10}"))
