"""The page in profile mlps3: who is before it, what each role does there, and how a session ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import openai
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.chat import Chat, copied, png, until
from tests.browser.company import Company, company
from tests.browser.receipt import photo
from tests.browser.test_layout import not_too_wide, usable
from tests.functional.server import eventually
from vlpro.identity.labels import Level
from vlpro.identity.permissions import Role
from vlpro.identity.tables import sessions

PASSWORD = "Kupfer-47-Wolke-fern"  # noqa: S105 - of people who do not exist
SESSION = "__Host-vlpro_session"

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def firm(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The product with accounts and the fake engine."""
    with company(tmp_path_factory.mktemp("company")) as made:
        yield made


@pytest.fixture(scope="module")
def kept(browser: Browser) -> Iterator[dict[object, BrowserContext]]:
    """Browser profiles by their settings; a warm cache makes a page load in half the time."""
    made: dict[object, BrowserContext] = {}
    yield made
    for context in made.values():
        context.close()


@pytest.fixture
def visit(firm: Company, browser: Browser, kept: dict[object, BrowserContext]) -> Iterator[Visit]:
    """Opens the page for somebody; nothing may leave its origin or go wrong in its console."""
    pages: list[Page] = []
    wrong: list[str] = []
    requests: list[str] = []

    def start(
        account: str | None,
        path: str = "/",
        *,
        locale: str = "zh-CN",
        size: tuple[int, int] = (1440, 900),
        dark: bool = False,
    ) -> Page:
        settings = (locale, size, dark)
        if settings not in kept:
            kept[settings] = browser.new_context(
                locale=locale,
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
                ignore_https_errors=True,
            )
            kept[settings].set_default_timeout(30_000)
        context = kept[settings]
        if account is not None:
            carry(context, firm, firm.session(account))
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda told: (
                wrong.append(told.text[:300])
                if told.type == "error" and not re.match("Failed to load resource|WebSocket", told.text)
                else None
            ),
        )
        page.on("request", lambda request: requests.append(request.url))
        pages.append(page)
        page.goto(firm.base + path)
        return page

    yield start

    for page in pages:
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        page.context.clear_cookies()
        page.close()
    inside = (f"{firm.base}/", firm.base.replace("https", "wss") + "/", "data:", "blob:")
    assert [url for url in requests if not url.startswith(inside)] == []
    assert wrong == []


def carry(context: BrowserContext, firm: Company, token: str) -> None:
    """Give the browser a session, as the sign-in does."""
    context.add_cookies(
        [
            {
                "name": SESSION,
                "value": token,
                "url": firm.base,
                "secure": True,
                "httpOnly": True,
                "sameSite": "Strict",
            }
        ]
    )


def heading(page: Page, name: str) -> None:
    """Wait for a page."""
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=60_000)


def told(page: Page, text: str) -> None:
    """Wait for what the page tells above its work."""
    expect(page.locator(".vl-note").filter(has_text=text)).to_be_visible()


def dialog(page: Page, name: str | re.Pattern[str]) -> Locator:
    """The dialog of this name."""
    return page.get_by_role("dialog", name=name)


def left(page: Page) -> dict[str, list[str]]:
    """Wait until the page has left for the sign-in; returns what it says there."""
    page.wait_for_url(re.compile(r"/login\?"), timeout=60_000)
    return parse_qs(urlsplit(page.url).query)


def offers(page: Page, names: list[str]) -> None:
    """Wait until the navigation offers these pages, and no other."""
    expect(page.get_by_test_id("stTopNavLink")).to_have_text(names, use_inner_text=True)


# --- who sees what ---


@pytest.mark.parametrize(
    "case",
    [
        (Role.USER, "", ["对话", "票据", "检测", "批量", "报告", "知识库", "我的账号"], ("accounts",)),
        (Role.SYSTEM, "系统管理员", ["账号", "会话", "运行状态", "我的账号"], ("policy", "compliance")),
        (Role.SECURITY, "安全管理员", ["策略", "角色与密级", "合规", "我的账号"], ("accounts",)),
        (Role.AUDIT, "审计管理员", ["审计记录", "合规", "我的账号"], ("roles",)),
    ],
    ids=lambda case: str(case[0]),
)
def test_each_role_has_its_own_pages(
    firm: Company, visit: Visit, case: tuple[Role, str, list[str], tuple[str, ...]]
) -> None:
    role, word, names, others = case
    person = firm.person(f"{role}.pages", "钱一", "质检部", role=role)
    page = visit(person)
    heading(page, names[0] if role is not Role.USER else "今天要看什么图片？")
    offers(page, names)
    expect(page.locator(".account .who")).to_have_text(" · ".join(filter(None, ["钱一", "质检部", word])))
    for other in others:
        page.goto(f"{firm.base}/{other}")
        heading(page, "无法查看这个页面")
        assert page.locator("[role=table], input, form").count() == 0
        offers(page, names)


def test_system_administrator_makes_and_keeps_accounts(firm: Company, visit: Visit) -> None:
    for number in range(30):
        firm.person(f"many{number:02}", f"人员 {number:02}", role=None)
    page = visit(firm.system)
    heading(page, "账号")
    page.get_by_role("button", name="新建账号").click()
    new = dialog(page, "新建账号")
    new.get_by_role("textbox", name="用户名").fill("No Login")
    new.get_by_role("textbox", name="姓名").fill("周新")
    new.get_by_role("button", name="创建").click()
    expect(new.get_by_role("alert")).to_contain_text("用户名由 3–64 个小写字母")
    expect(new.get_by_role("alert")).to_contain_text(re.compile("请求编号 req_[0-9a-f]+"))
    new.get_by_role("textbox", name="用户名").fill("zhou.xin")
    new.get_by_role("button", name="创建").click()
    once = new.locator("output")
    expect(once).to_have_text(re.compile(r"\S{12,}"))
    password = once.inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    new.get_by_role("button", name="复制").click()
    copied(page, re.escape(password))
    new.get_by_role("button", name="完成").click()
    expect(new).to_be_hidden()
    table = page.get_by_role("table", name="账号")
    search = page.get_by_role("searchbox", name="查找姓名、用户名或部门")
    search.fill("zhou.xin")
    row = table.get_by_role("row").filter(has_text="zhou.xin")
    expect(row).to_contain_text("待授权")
    assert password not in page.content()

    person = next(account.id for account in firm.identity.accounts.find("zhou.xin"))
    firm.identity.accounts.grant(person, Role.USER, by=firm.security)
    policy = firm.identity.policies.current().policy
    for _ in range(policy.lock_after_failures):
        firm.identity.failures.count("zhou.xin", "10.9.9.9", policy)
    search.fill("周新")
    expect(table.get_by_role("row")).to_have_count(2)  # with its head
    expect(row).to_contain_text("已锁定")

    def act(name: str, tells: str) -> None:
        row.get_by_role("button").click()
        sheet = dialog(page, re.compile("周新"))
        sheet.get_by_role("button", name=name).click()
        if name not in ("解锁", "启用"):
            expect(sheet.get_by_role("button", name="取消")).to_be_visible()
            sheet.get_by_role("button", name=name).click()
        if tells:
            told(page, tells)

    act("解锁", "周新 已解锁")
    expect(row).to_contain_text("正常")
    act("停用", "周新 已停用")
    expect(row).to_contain_text("已停用")
    act("启用", "周新 已启用")
    act("重置二次验证", "周新 的二次验证已重置")
    act("重置密码", "")
    sheet = dialog(page, re.compile("周新"))
    expect(sheet.locator("output")).not_to_have_text(password)
    sheet.get_by_role("button", name="完成").click()
    row.get_by_role("button").click()
    sheet.get_by_role("button", name="编辑").click()
    sheet.get_by_role("textbox", name="部门").fill("市场部")
    sheet.get_by_role("button", name="保存").click()
    told(page, "周新 的资料已保存")
    expect(row).to_contain_text("市场部")
    search.fill("sec")
    table.get_by_role("row").filter(has_text="张安全").get_by_role("button").click()
    other = dialog(page, re.compile("张安全"))
    expect(other).to_contain_text("只能在服务器上重置")
    expect(other.get_by_role("button", name="重置密码")).to_have_count(0)
    page.keyboard.press("Escape")

    search.fill("many")
    rows = table.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("many00")
    expect(rows).to_have_count(26)
    expect(page.locator(".pages")).to_have_text("第 1–25 条")
    page.get_by_role("button", name="下一页").click()
    expect(rows).to_have_count(6)
    expect(page.get_by_role("button", name="下一页")).to_be_disabled()
    page.get_by_role("button", name="上一页").click()
    expect(rows).to_have_count(26)


def test_security_administrator_gives_roles_and_levels(firm: Company, visit: Visit) -> None:
    new = [firm.person(f"role{number}", f"新人{number}", "研发部", role=None) for number in range(3)]
    page = visit(firm.security, "/roles")
    heading(page, "角色与密级")
    page.get_by_role("searchbox").fill("研发部")
    waiting = page.locator(".st-key-waiting")
    expect(waiting.get_by_role("table", name="等待授权（3）")).to_be_visible(timeout=60_000)
    expect(waiting.get_by_role("table")).to_have_count(1, timeout=60_000)  # that of everybody is gone
    for name in ("新人0", "新人1"):
        waiting.get_by_role("checkbox", name=f"选择 {name}").check()
    waiting.get_by_role("button", name="授予普通用户（2）").click()
    dialog(page, "授予普通用户？").get_by_role("button", name="授予", exact=True).click()
    told(page, "已授予 2 人")
    roles = [firm.identity.accounts.get(account).role for account in new]
    assert roles == [Role.USER, Role.USER, None]
    everybody = page.get_by_role("table", name="所有账号")
    everybody.get_by_role("row").filter(has_text="新人0").get_by_role("button").click()
    sheet = dialog(page, re.compile("新人0"))
    _choose(page, sheet, "密级", "秘密")
    sheet.get_by_role("button", name="确认更改").click()
    told(page, "新人0 的角色和密级已更新")
    assert firm.identity.accounts.get(new[0]).level is Level.SECRET
    everybody.get_by_role("row").filter(has_text="新人1").get_by_role("button").click()
    sheet = dialog(page, re.compile("新人1"))
    _choose(page, sheet, "角色", "审计管理员")
    expect(sheet).to_contain_text("会话立即结束")
    sheet.get_by_role("button", name="确认更改").click()
    told(page, "新人1 的角色和密级已更新")
    assert firm.identity.accounts.get(new[1]).role is Role.AUDIT
    page.get_by_role("searchbox").fill("张安全")
    own = everybody.get_by_role("row").filter(has_text="本人")
    expect(own).to_be_visible()
    expect(own.get_by_role("button")).to_have_count(0)

    page.get_by_role("button", name="深色").click()  # is chosen for all pages
    expect(page.get_by_role("button", name="深色")).to_have_attribute("aria-pressed", "true", timeout=60_000)
    page.goto(f"{firm.base}/policy")
    heading(page, "策略")
    expect(page.locator(".stApp")).to_have_css("background-color", "rgb(21, 25, 31)")


def _choose(page: Page, inside: Page | Locator, name: str, option: str) -> None:
    inside.get_by_role("combobox", name=name).click()
    page.get_by_role("option", name=option).click()


def test_security_administrator_decides_the_policy(firm: Company, visit: Visit) -> None:
    base = firm.identity.policies.current().version
    page = visit(firm.security, "/policy")
    heading(page, "策略")
    minutes = page.get_by_role("spinbutton", name="锁定时间（分钟）")
    minutes.fill("45")
    minutes.press("Enter")
    bar = page.locator(".st-key-save-place")
    expect(bar).to_contain_text("1 项更改未保存")
    networks = page.get_by_role("textbox", name="普通用户的访问地址")
    networks.fill("127.0.0.0/8\n10.1.0/16")
    networks.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("第 2 行“10.1.0/16”不是地址或网段")
    expect(bar.get_by_role("button", name="核对并保存")).to_be_disabled()
    networks.fill("127.0.0.0/8\n10.1.0.0/16")
    networks.press("Control+Enter")
    expect(bar).to_contain_text("2 项更改未保存")
    page.get_by_role("button", name="添加规则").click()
    page.get_by_role("textbox", name="规则 1：目录中的组").fill("cn=vl-users")
    page.get_by_role("textbox", name="规则 1：目录中的组").press("Tab")
    expect(bar).to_contain_text("3 项更改未保存")
    bar.get_by_role("button", name="核对并保存").click()
    ask = dialog(page, "保存为新版本？")
    expect(ask).to_contain_text("30 → 45")
    expect(ask).to_contain_text("+ 10.1.0.0/16")
    expect(ask).to_contain_text("+ cn=vl-users: 普通用户, 内部")
    ask.get_by_role("textbox", name="更改原因").fill("评审结论")
    ask.get_by_role("button", name="保存并生效").click()
    told(page, f"第 {base + 1} 版已保存并生效")
    decided = firm.identity.policies.versions()[0]
    assert (decided.version, decided.note, decided.policy.lock_minutes) == (base + 1, "评审结论", 45)
    assert decided.policy.user_addresses == ("127.0.0.0/8", "10.1.0.0/16")
    first = page.locator(".vl-versions details").first
    first.locator("summary").click()
    expect(first).to_contain_text("锁定时间（分钟）")
    expect(first).to_contain_text("评审结论")

    minutes.fill("50")
    minutes.press("Enter")
    expect(bar).to_contain_text("1 项更改未保存")
    firm.identity.policies.decide({"lock_minutes": 31}, base=base + 1, note="", author=firm.security)
    bar.get_by_role("button", name="核对并保存").click()
    told(page, f"sec 已保存第 {base + 2} 版")
    ask.get_by_role("button", name="保存并生效").click()
    told(page, "策略已被修改")
    told(page, "您的更改没有保存：锁定时间（分钟）: 45 → 50")
    expect(minutes).to_have_value("31")
    _choose(page, page, "从", f"第 {base} 版")
    expect(page.get_by_role("region", name=f"第 {base} 版与第 {base + 2} 版的差别")).to_contain_text(
        "30 → 31"
    )


# --- how a session ends ---


def test_signing_out(firm: Company, visit: Visit) -> None:
    person = firm.person("out", "孙出", "物流部")
    page = visit(person, "/my-account")
    heading(page, "我的账号")
    page.evaluate("sessionStorage.setItem('vlpro-draft-x', 'old'); localStorage.clear()")
    page.get_by_role("button", name="退出登录").click()
    assert left(page) == {"ended": ["signed_out"]}
    expect(page.get_by_text("已退出登录")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert [cookie for cookie in page.context.cookies() if cookie["name"] == SESSION] == []
    assert firm.identity.sessions.all(firm.identity.policies.current().policy, person) == []
    page.go_back()
    page.wait_for_url(re.compile("/login"))


def test_a_session_that_an_administrator_ends_leaves_within_seconds(
    firm: Company, browser: Browser, visit: Visit
) -> None:
    person = firm.person("ended", "吴末", "财务部")
    page = visit(person, "/?max_tokens=512")
    chat = Chat(page, firm.base)
    expect(chat.question).to_be_visible(timeout=60_000)
    chat.question.fill("还没写完")
    console = browser.new_context(locale="zh-CN", ignore_https_errors=True)
    carry(console, firm, firm.session(firm.system))
    other = console.new_page()
    other.goto(f"{firm.base}/sessions")
    heading(other, "会话")
    row = other.get_by_role("table", name="会话").get_by_role("row").filter(has_text="吴末")
    expect(row).to_contain_text("Chrome 141 · Windows")
    row.get_by_role("button").click()
    dialog(other, "结束这个会话？").get_by_role("button", name="结束会话").click()
    told(other, "吴末 的会话已结束")
    started = time.monotonic()
    assert left(page) == {"ended": ["over"], "next": ["/?max_tokens=512"]}
    assert time.monotonic() - started < 20  # usually 2; never, were it not told
    console.close()
    # The same person finds the draft again, nobody else does.
    carry(page.context, firm, firm.session(firm.person("after", "郑后")))
    page.goto(firm.base)
    expect(chat.question).to_have_value("", timeout=60_000)
    assert "还没写完" not in page.evaluate("JSON.stringify(sessionStorage)")


def test_a_page_that_only_polls_goes_idle(firm: Company, visit: Visit) -> None:
    person = firm.person("idle", "何静", "档案室")
    page = visit(None, "/login")
    page.clock.install()
    carry(page.context, firm, firm.session(person))
    page.goto(firm.base)
    chat = Chat(page, firm.base)
    expect(chat.question).to_be_visible(timeout=60_000)
    expect(chat.status).to_contain_text("就绪")
    firm.unused(person, minutes=1)
    time.sleep(3)  # a look of the status panel, and the time for which a session is remembered
    assert _unused_s(firm, person) > 60
    page.get_by_role("slider", name="最大长度 Max Tokens").press("ArrowRight")
    expect(chat.budget).to_contain_text("1,152")
    eventually(lambda: _unused_s(firm, person) < 10)  # the page reckons by itself, and may be quicker
    firm.unused(person, minutes=16)
    page.clock.fast_forward("16:00")
    assert left(page)["ended"] == ["idle"]
    expect(page.get_by_text("超过 15 分钟没有操作，会话已结束")).to_be_visible()


def _unused_s(firm: Company, account: str) -> float:
    with firm.identity.database.read() as connection:
        seen = connection.execute(
            sa.select(sessions.c.seen_at).where(sessions.c.account == account)
        ).scalar_one()
    return time.time() - float(seen)


def test_another_person_in_the_same_browser_sees_their_own(firm: Company, visit: Visit) -> None:
    first = firm.person("first", "陈先", "采购部", level=Level.SECRET)
    page = visit(first)
    chat = Chat(page, firm.base)
    expect(chat.question).to_be_visible(timeout=60_000)
    page.get_by_role("radio", name="公开").click()
    chat.ask("count to 3")
    chat.answer("1 2 3")
    expect(page.locator(".vl-head")).to_contain_text("公开")
    page.get_by_role("button", name="新对话").first.click()
    expect(page.get_by_role("radio", name="秘密")).to_be_checked()
    chat.ask("my secret matter")
    chat.answer("You asked: my secret matter")
    expect(page.locator(".vl-head")).to_contain_text("秘密")
    page.get_by_test_id("stTopNavLink").filter(has_text="我的账号").click()
    heading(page, "我的账号")
    page.get_by_test_id("stTopNavLink").filter(has_text="对话").click()
    heading(page, "my secret matter")
    carry(page.context, firm, firm.session(firm.person("second", "林后", "采购部")))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".account .who")).to_have_text("林后 · 采购部", timeout=60_000)
    expect(page.get_by_text("这段对话已不存在")).to_be_visible()
    # What the first one saw stands there until the page is drawn to its end.
    expect(page.locator(".stApp")).not_to_contain_text("secret matter", use_inner_text=True)
    expect(page.get_by_role("radio", name="秘密")).to_have_count(0)


# --- one's own account ---


def test_a_key_is_shown_once_and_works(firm: Company, visit: Visit) -> None:
    person = firm.person("keys", "冯键", "信息中心")
    page = visit(person, "/my-account")
    heading(page, "我的账号")
    page.get_by_role("button", name="新建密钥").click()
    new = dialog(page, "新建密钥")
    new.get_by_role("textbox", name="允许的地址").fill("nowhere")
    new.get_by_role("textbox", name="用途").fill("报销系统")
    new.get_by_role("button", name="创建").click()
    expect(new.get_by_role("alert")).to_contain_text("第 1 行“nowhere”")
    new.get_by_role("textbox", name="允许的地址").fill("127.0.0.1")
    new.get_by_role("button", name="创建").click()
    expect(new.locator("output")).to_have_text(re.compile("^vlp_"))
    secret = new.locator("output").inner_text()
    new.get_by_role("button", name="完成").click()
    expect(new).to_have_count(0)
    table = page.get_by_role("table", name="API 密钥")
    expect(table).to_contain_text("报销系统")
    assert secret not in page.content()
    with openai.OpenAI(base_url=f"{firm.inside}/v1", api_key=secret, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="vlpro-fake", messages=[{"role": "user", "content": "count to 3"}]
        )
        assert (answer.choices[0].message.content or "").strip() == "1 2 3"
        table.get_by_role("button").click()
        dialog(page, "报销系统").get_by_role("button", name="撤销密钥").click()
        told(page, "密钥“报销系统”已撤销")
        time.sleep(1)  # a key is remembered for less
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_own_sessions_are_ended(firm: Company, visit: Visit) -> None:
    person = firm.person("mine", "褚多", "信息中心")
    firm.session(person)
    page = visit(person, "/my-account")
    heading(page, "我的账号")
    table = page.get_by_role("table", name="我的会话")
    expect(table.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="结束其他会话").click()
    dialog(page, "结束其他会话？").get_by_role("button", name="结束其他会话").click()
    told(page, "已结束 1 个会话")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table).to_contain_text("当前会话")


def test_passkeys_through_the_real_pages(firm: Company, visit: Visit) -> None:
    person = firm.person("passkey", "卫钥", "研发部")
    firm.password(person, PASSWORD)
    page = visit(None, "/login?next=/my-account")
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )

    def sign_in() -> None:
        page.locator("input[name=login]").fill("passkey")
        page.locator("input[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="继续").click()

    sign_in()
    page.get_by_role("textbox", name="通行密钥的名称").fill("测试机")
    page.get_by_role("button", name="添加通行密钥").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="继续").click()
    heading(page, "我的账号")
    page.get_by_role("link", name="二次验证方式").click()
    heading(page, "登录验证方式")
    expect(page.get_by_text("测试机", exact=True)).to_be_visible()
    page.goto(f"{firm.base}/my-account")
    page.get_by_role("button", name="退出登录").click()
    left(page)
    sign_in()
    page.get_by_role("button", name="用通行密钥登录").click()
    expect(page.locator(".account .who")).to_have_text("卫钥 · 研发部", timeout=60_000)
    devtools.send("WebAuthn.disable")


def test_one_time_codes_and_a_second_passkey(firm: Company, visit: Visit) -> None:
    person = firm.person("code", "蒋码", "研发部")
    firm.password(person, PASSWORD)
    app = firm.authenticator(person, "code")
    page = visit(None, "/login?next=/account/factors")
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.locator("input[name=login]").fill("code")
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="继续").click()
    page.locator("input[name=code]").fill(app.now())
    page.get_by_role("button", name=re.compile("继续|登录|确认")).first.click()
    heading(page, "登录验证方式")
    page.get_by_role("textbox", name="当前密码").first.fill(PASSWORD)
    page.get_by_role("textbox", name="通行密钥的名称").fill("工位上的密钥")
    page.get_by_role("button", name="添加通行密钥").click()
    expect(page.get_by_text("通行密钥已添加")).to_be_visible()
    expect(page.get_by_text("工位上的密钥").first).to_be_visible()
    devtools.send("WebAuthn.disable")


# --- how it looks ---


def test_masking_is_decided_with_the_names_to_mask(firm: Company, visit: Visit) -> None:
    before = firm.identity.policies.current()
    page = visit(firm.security, "/policy")
    heading(page, "策略")
    bar = page.locator(".st-key-save-place")
    for number, name in enumerate(("mask_answers", "mask_shipped"), 1):
        page.locator(f".st-key-setting-line-off-{name} label").first.click()
        expect(bar).to_contain_text(f"{number} 项更改未保存", timeout=60_000)
    names = page.get_by_role("textbox", name="脱敏的姓名")
    names.fill("张三丰\n李")
    names.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("第 2 行“李”应为 2 至 40 个字", timeout=60_000)
    names.fill("张三丰\n李雷\n")
    names.press("Control+Enter")
    expect(bar).to_contain_text("3 项更改未保存", timeout=60_000)
    bar.get_by_role("button", name="核对并保存").click()
    ask = dialog(page, "保存为新版本？")
    expect(ask).to_contain_text("+ 张三丰", timeout=60_000)
    ask.get_by_role("button", name="保存并生效").click()
    told(page, f"第 {before.version + 1} 版已保存并生效")
    decided = firm.identity.policies.versions()[0].policy
    assert (decided.mask_answers, decided.mask_exports, decided.mask_shipped) == (True, False, True)
    assert decided.mask_names == ("张三丰", "李雷")
    firm.identity.policies.decide(
        before.policy.model_dump(mode="json"), base=before.version + 1, note="", author=firm.security
    )


def test_watermark_lies_over_everything(firm: Company, visit: Visit) -> None:
    person = firm.person("water", "沈印", level=Level.INTERNAL)
    version = firm.identity.policies.current().version
    firm.identity.policies.decide({"watermark": True}, base=version, note="", author=firm.security)
    time.sleep(1)  # the one before is remembered for less
    try:
        page = visit(person)
        chat = Chat(page, firm.base)
        expect(chat.question).to_be_visible(timeout=60_000)
        over = """(element) => {
          const { position, pointerEvents, backgroundImage } = getComputedStyle(element, "::after");
          return [position, pointerEvents, decodeURIComponent(backgroundImage)];
        }"""
        body = page.locator("body")
        until(page, lambda: "water" in body.evaluate(over)[2])
        position, events, drawn = body.evaluate(over)
        assert (position, events) == ("fixed", "none")
        assert "沈印 water" in drawn
        assert "内部" in drawn
        minute = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")  # which may pass meanwhile
        assert minute.search(drawn)
        same = minute.sub("", drawn)
        page.emulate_media(media="print")
        assert minute.sub("", body.evaluate(over)[2]) == same
        page.emulate_media(media="screen")
        chat.attach(png("a.png", photo(1)))
        chat.expect_tray(1)
        page.get_by_role(
            "button", name=re.compile("^查看原图")
        ).first.click()  # what it lies over can be used
        expect(chat.viewer).to_be_visible()
        assert minute.sub("", chat.viewer.evaluate(over)[2]) == same
    finally:
        firm.identity.policies.decide({"watermark": False}, base=version + 1, note="", author=firm.security)


@pytest.mark.parametrize(
    ("who", "places"),
    [
        ("user", ("/", "/my-account")),
        ("system", ("/accounts", "/sessions", "/engine")),
        ("security", ("/policy", "/roles")),
    ],
)
def test_everything_fits_a_phone_and_has_a_name(
    firm: Company, visit: Visit, who: str, places: tuple[str, ...]
) -> None:
    person = {"system": firm.system, "security": firm.security}.get(who) or firm.person("phone", "韩小")
    page = visit(person, places[0], locale="en-GB", size=(390, 844), dark=True)
    for place in places:
        if place != places[0]:
            page.get_by_test_id("stSidebarNavLink").and_(page.locator(f'[href$="{place}"]')).click()
            page.wait_for_url(re.compile(place))
            page.get_by_role("button", name=re.compile("(Close|Collapse) sidebar")).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
        expect(page.locator("[data-test-connection-state=CONNECTED]")).to_be_visible()
        page.wait_for_timeout(300)
        not_too_wide(page)
        usable(page)
        page.get_by_role("button", name=re.compile("(Open|Expand) sidebar")).click()
        expect(page.get_by_test_id("stSidebarNavLink").first).to_be_in_viewport()
    expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport()


def test_files_of_the_page_are_nobodys_but_its_own(firm: Company) -> None:
    token = firm.session(firm.person("media", "杨媒"))
    with httpx.Client(base_url=firm.inside, trust_env=False, timeout=30, cookies={SESSION: token}) as client:
        assert client.get("/v1/account").status_code == 200
        assert client.get("/media/0123456789.md").status_code == 404
