"""Addresses: real cities, districts and roads, and house numbers that need not exist."""

from typing import Final

_DISTRICTS: Final = tuple(
    (city, district, area_code, digits)
    for city, area_code, digits, districts in (
        ("臺北市", "02", 8, "大同區 中山區 松山區 大安區 萬華區 信義區 士林區 北投區 內湖區 文山區"),
        ("新北市", "02", 8, "板橋區 三重區 中和區 永和區 新莊區 新店區 蘆洲區 土城區 汐止區 樹林區"),
        ("桃園市", "03", 7, "桃園區 中壢區 平鎮區 八德區 楊梅區 蘆竹區"),
        ("臺中市", "04", 8, "西屯區 北屯區 南屯區 豐原區 大里區 太平區"),
        ("臺南市", "06", 7, "永康區 安南區 東區 北區 中西區 仁德區"),
        ("高雄市", "07", 7, "鳳山區 三民區 左營區 苓雅區 前鎮區 楠梓區"),
    )
    for district in districts.split()
)
_ROADS: Final = tuple(
    "民生西路 民生東路 民權西路 民權東路 民族路 中山北路 中山路 中正路 中華路 中央路 忠孝東路 忠孝路 仁愛路 "
    "信義路 信義街 和平東路 和平路 復興南路 復興路 建國路 建國北路 光復路 光明街 成功路 自由路 自強路 博愛路 "
    "南京東路 長安西路 長春路 延平北路 重慶北路 承德路 寧夏路 迪化街 文化路 文林路 大同路 三民路 四維路 五權路 "
    "公園路 公益路 健行路 學府路 校前路 青年路 青海路 河南路 福德街 福興街 永安街 永和路 安和路 新生路 新民街 "
    "新興路 東門路 西門路 南門街 北門路 前進街 後港路 水源路 景平路".split()
)
_SECTIONS: Final = ("", "", "", "一段", "二段", "三段", "四段")
_LANES: Final = 150
_NUMBERS: Final = 300
_FLOORS: Final = 12
_WITHOUT_FLOOR: Final = 4

COUNT: Final = len(_DISTRICTS) * len(_ROADS) * len(_SECTIONS) * 2 * _LANES * _NUMBERS * _FLOORS
"""How many addresses there are."""


def address(number: int) -> str:
    """Return the address with this number below `COUNT`, so that one can be kept in eight bytes."""
    number, where = divmod(number, len(_DISTRICTS))
    number, road = divmod(number, len(_ROADS))
    number, section = divmod(number, len(_SECTIONS))
    number, in_a_lane = divmod(number, 2)
    number, lane = divmod(number, _LANES)
    floor, house = divmod(number, _NUMBERS)
    text = f"{_DISTRICTS[where][0]}{_DISTRICTS[where][1]}{_ROADS[road]}{_SECTIONS[section]}"
    if in_a_lane:
        text += f"{lane + 1}巷"
    text += f"{house + 1}號"
    return text if floor < _WITHOUT_FLOOR else f"{text}{floor - _WITHOUT_FLOOR + 2}樓"


def landline(number: int, digits: int) -> str:
    """Return a landline number where the address with this number is; of `digits` it takes the last seven."""
    _, _, area_code, length = _DISTRICTS[number % len(_DISTRICTS)]
    return f"{area_code}2{digits % 10 ** (length - 1):0{length - 1}}"
