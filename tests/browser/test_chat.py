"""Everything around an answer, with the fake engine: what it writes is known, and slow enough to be watched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Request, Route, expect

from tests.browser.chat import ANSWER_MS, Chat, copied, frames, loaded, png, until
from tests.browser.conftest import OpenChat
from tests.browser.receipt import photo

BUSY, READY = "正在生成", "就绪"


@pytest.fixture
def chat(fake: str, open_chat: OpenChat) -> Chat:
    """The page with the fake engine."""
    return open_chat(fake)


def _started(chat: Chat, number: int) -> None:
    """Waits until a counting answer has come this far."""
    expect(chat.growing).to_contain_text(re.compile(rf"\b{number}\b"))


def _conversations(base: str) -> list[dict[str, object]]:
    data: list[dict[str, object]] = httpx.get(f"{base}/v1/conversations", trust_env=False, timeout=30).json()[
        "data"
    ]
    return data


def test_sidebar_lives_while_an_answer_grows(chat: Chat) -> None:
    expect(chat.status).to_contain_text(READY)
    chat.ask("count to 250")
    _started(chat, 3)
    expect(chat.status).to_contain_text(BUSY)
    memory = chat.status.get_by_role("meter")
    expect(memory).to_be_visible()
    before = chat.status.inner_text()
    chat.page.wait_for_function(
        "(before) => document.querySelector('.vl-status').innerText !== before", arg=before
    )
    expect(chat.stop).to_be_visible()  # it changed while the answer was still growing
    chat.page.get_by_role("slider", name="最大长度 Max Tokens").press("ArrowRight")
    expect(chat.budget).to_contain_text("预留回答 1,152")
    chat.answer(re.compile(r"1 2 3 .*249 250"))
    expect(chat.status).to_contain_text(READY)
    expect(chat.status).to_contain_text("首字延迟")
    expect(chat.status).to_contain_text("tokens/s")


def test_stop_keeps_what_was_written(chat: Chat) -> None:
    chat.ask("count to 1400")
    _started(chat, 5)
    chat.stop.click()
    answer = chat.answer("已停止")
    expect(answer).to_contain_text("1 2 3 4 5")
    assert not re.search(r"\b1000\b", answer.inner_text())
    expect(chat.status).to_contain_text(READY)
    chat.ask("count to 3")
    chat.answer("1 2 3")


def test_reload_finds_the_answer_again(chat: Chat) -> None:
    chat.ask("count to 250")
    _started(chat, 4)
    chat.page.reload()
    expect(chat.growing).to_contain_text("1 2 3 4")
    expect(chat.stop).to_be_visible()
    chat.answer(re.compile(r"1 2 3 .*249 250"))
    expect(chat.asked).to_have_text("count to 250")


def test_draft_and_pictures_survive_a_reload(chat: Chat) -> None:
    chat.attach(png("a.png", photo(1)))
    chat.expect_tray(1)
    chat.question.fill("还没有写完")
    chat.page.reload()
    expect(chat.question).to_have_value("还没有写完")
    chat.expect_tray(1)


def test_pictures_come_by_dialog_drop_and_paste_and_can_be_removed(chat: Chat) -> None:
    chat.attach(png("dialog.png", photo(1)), png("second.png", photo(2)))
    chat.drop(png("dropped.png", photo(3)))
    chat.paste(png("pasted.png", photo(4)))
    chat.expect_tray(4)
    expect(chat.budget).to_contain_text("4/16 张图片")
    expect(chat.budget).not_to_contain_text("图片 0 ")
    chat.tray.get_by_role("button", name="移除: second.png").click()
    chat.expect_tray(3)
    expect(chat.budget).to_contain_text("3/16 张图片")
    chat.ask("what is here?")
    answer = chat.answer("Picture 3")
    expect(answer).not_to_contain_text("Picture 4")
    expect(chat.page.get_by_role("button", name=re.compile("查看原图: 图"))).to_have_count(3)


def test_budget_counts_what_is_typed_before_sending(chat: Chat) -> None:
    expect(chat.budget).to_contain_text("输入 0")
    chat.question.fill("合计金额是多少")
    expect(chat.budget).to_contain_text("输入 5")
    chat.question.fill("超" * 60_000)
    expect(chat.budget).to_contain_text("超出上限")
    chat.question.fill("")
    expect(chat.budget).not_to_contain_text("超出上限")


def test_sixteen_pictures_are_taken_and_a_seventeenth_is_refused_kindly(chat: Chat) -> None:
    chat.attach(*(png(f"{number}.png", photo(number)) for number in range(16)))
    chat.expect_tray(16)
    chat.attach(png("seventeenth.png", photo(17)))
    expect(chat.notices).to_contain_text("一段对话最多 16 张图片，有 1 张没有添加：seventeenth.png")
    chat.expect_tray(16)
    chat.ask("look at all")
    chat.answer("Picture 16")
    chat.drop(png("later.png", photo(18)))
    expect(chat.notices).to_contain_text("later.png")
    chat.expect_tray(0)


def test_a_lost_connection_is_told(chat: Chat) -> None:
    bottom = chat.page.get_by_test_id("stBottomBlockContainer")
    told = "(element) => getComputedStyle(element, '::before').content"
    app = chat.page.locator("[data-test-connection-state]")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
    assert bottom.evaluate(told) == "none"
    app.evaluate(
        "(element) => { element.dataset.testConnectionState = 'PINGING_SERVER'; }"
    )  # Streamlit's word for it
    assert "连接中断" in bottom.evaluate(told)


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.png", photo(1)[:60]), ("empty.png", b""), ("page.png", b"<html><script>alert(1)</script>")],
)
def test_broken_file_is_refused_kindly(chat: Chat, name: str, content: bytes) -> None:
    chat.question.fill("这是什么？")
    chat.attach(png("good.png", photo(1)), png(name, content))
    expect(chat.notices).to_have_count(1)
    expect(chat.notices).to_contain_text(name)
    expect(chat.notices).to_contain_text(re.compile("请求编号 req_[0-9a-f]+"))
    expect(chat.notices).to_contain_text(re.compile("[\u4e00-\u9fff]{4}"))
    chat.expect_tray(1)
    expect(chat.question).to_have_value("这是什么？")
    chat.notices.get_by_role("button", name="知道了").click()
    expect(chat.notices).to_have_count(0)


def test_other_files_are_refused_before_they_are_sent(chat: Chat) -> None:
    chat.drop({"name": "note.txt", "mimeType": "text/plain", "buffer": b"hello"})
    expect(chat.notices).to_contain_text("note.txt：不是 JPG、PNG、BMP 或 WebP 图片")
    chat.attach(png("big.png", b"\0" * 1_000_001))
    expect(chat.notices.last).to_contain_text("big.png：超过 1 MB")
    expect(chat.tray).to_be_hidden()


def test_refused_question_stays_with_its_pictures(chat: Chat, fake: str) -> None:
    chat.attach(png("a.png", photo(1)))
    chat.expect_tray(1)
    source = chat.tray.locator("img").get_attribute("src")
    assert source
    httpx.delete(
        f"{fake}{source.split('/content')[0]}", trust_env=False, timeout=30
    )  # as if its time in memory were over
    chat.question.fill("一段花了很久写的问题")
    chat.question.press("Enter")
    expect(chat.notices).to_be_visible()
    expect(chat.notices).to_contain_text("请求编号")
    expect(chat.question).to_have_value("一段花了很久写的问题")
    expect(chat.send).to_be_enabled()
    chat.tray.get_by_role("button", name="移除").click()
    chat.question.press("Enter")
    chat.answer("一段花了很久写的问题")


def test_question_beyond_the_context_is_refused_and_stays(chat: Chat) -> None:
    text = "超" * 60_000
    chat.question.fill(text)
    chat.question.press("Enter")
    expect(chat.notices).to_contain_text("请减少图片、缩短文字或降低回答长度")
    expect(chat.question).to_have_value(text)
    expect(chat.asked).to_have_count(0)


def test_failed_answer_says_so_and_can_be_tried_again(chat: Chat) -> None:
    chat.ask("please fail")
    answer = chat.answer("测试引擎按要求出错")
    expect(answer.get_by_role("alert")).to_contain_text(re.compile("请求编号 req_[0-9a-f]+"))
    expect(answer).to_contain_text("This answer breaks")
    first = answer.get_attribute("class")
    answer.get_by_role("button", name="重试").click()
    expect(chat.answers.last).not_to_have_attribute("class", first or "", timeout=ANSWER_MS)
    chat.answer("测试引擎按要求出错")
    expect(chat.asked).to_have_count(1)


def test_clear_frees_memory_and_shows_it(chat: Chat, fake: str) -> None:
    chat.attach(png("a.png", photo(1)))
    chat.expect_tray(1)
    chat.ask("to be cleared")
    chat.answer("Picture 1")
    held = chat.page.url.split("c=")[1]
    image = chat.page.locator(".thumbnails img").get_attribute("src")
    chat.page.get_by_role("button", name="清空对话").click()
    dialog = chat.page.get_by_role("dialog", name="清空这段对话？")
    dialog.get_by_role("button", name="取消").click()
    expect(dialog).to_be_hidden()
    expect(chat.asked).to_have_count(1)
    chat.page.get_by_role("button", name="清空对话").click()
    dialog.get_by_role("button", name="清空", exact=True).click()
    told = chat.page.get_by_role("status").filter(has_text="对话已清空")
    expect(told).to_contain_text(re.compile(r"消息 2 条，图片 1 张（\d+ [KM]iB）"))
    expect(told).to_contain_text(re.compile(r"服务内存：[\d.]+ [MG]iB → [\d.]+ [MG]iB"))
    expect(told).to_contain_text(re.compile(r"用时 \d+ 毫秒"))
    expect(chat.asked).to_have_count(0)
    assert held not in [conversation["id"] for conversation in _conversations(fake)]
    assert httpx.get(f"{fake}{image}", trust_env=False, timeout=30).status_code == 404


def test_regenerate_replaces_the_answer(chat: Chat) -> None:
    chat.attach(png("a.png", photo(5)))
    chat.expect_tray(1)
    chat.ask("once more")
    answer = chat.answer("Picture 1")
    first = answer.get_attribute("class")
    answer.get_by_role("button", name="重新生成").click()
    expect(chat.answers.last).not_to_have_attribute("class", first or "", timeout=ANSWER_MS)
    chat.answer("Picture 1")
    expect(chat.asked).to_have_count(1)


def test_edit_and_resend_replaces_what_came_after(chat: Chat) -> None:
    chat.attach(png("a.png", photo(6)))
    chat.expect_tray(1)
    chat.ask("first question")
    chat.answer("first question")
    chat.ask("second question")
    chat.answer("second question")
    chat.question.fill("waiting draft")
    chat.answers.first.get_by_role("button", name="修改问题").click()
    expect(chat.question).to_have_value("first question")
    expect(chat.page.get_by_text("正在修改之前的问题")).to_be_visible()
    chat.expect_tray(1)
    chat.page.get_by_role("button", name="取消").click()
    expect(chat.question).to_have_value("waiting draft")
    chat.answers.first.get_by_role("button", name="修改问题").click()
    chat.question.fill("better question")
    chat.question.press("Enter")
    expect(chat.asked).to_have_count(1)
    expect(chat.asked).to_have_text("better question")
    expect(chat.answer("better question")).to_contain_text("Picture 1")
    expect(chat.question).to_have_value("waiting draft")


def test_text_that_looks_like_a_directive_is_shown_whole(chat: Chat) -> None:
    text = "Ref:INV[2024] a:b{c} 备注:注[12] 12:30 :red[warning] :smile: note :x[y](z) end"
    chat.ask(text)
    shown = chat.answer("end").inner_text().replace("\u2060", "")
    assert text in shown


def test_a_question_that_is_being_edited_survives_a_reload(chat: Chat) -> None:
    chat.ask("first question")
    chat.answer("first question")
    chat.question.fill("waiting draft")
    chat.answers.first.get_by_role("button", name="修改问题").click()
    chat.question.fill("half written")
    chat.page.reload()
    expect(chat.question).to_have_value("half written")
    chat.question.press("Escape")
    expect(chat.question).to_have_value("waiting draft")
    chat.answers.first.get_by_role("button", name="修改问题").click()
    chat.question.fill("better question")
    chat.question.press("Enter")
    chat.answer("better question")
    expect(chat.asked).to_have_count(1)


def test_a_question_waits_for_its_picture(chat: Chat) -> None:
    held: list[Route] = []
    chat.page.route("**/v1/images", lambda route: held.append(route))  # noqa: PLW0108 - it marks what it calls
    chat.attach(png("slow.png", photo(8)))
    chat.question.fill("what is it?")
    chat.question.press("Enter")
    expect(chat.page.get_by_role("status").filter(has_text="图片正在上传，完成后自动发送")).to_be_visible()
    until(chat.page, lambda: bool(held))
    for route in held:
        route.continue_()
    chat.answer("Picture 1")
    chat.page.unroute("**/v1/images")


def test_each_picture_says_what_it_will_come_after(chat: Chat) -> None:
    sent: list[dict[str, list[str]]] = []

    def noted(request: Request) -> None:
        if "/v1/images" in request.url and request.method == "POST":
            sent.append(parse_qs(urlsplit(request.url).query))

    chat.page.on("request", noted)
    chat.attach(*(png(f"{number}.png", photo(number)) for number in range(3)))
    chat.expect_tray(3)
    first, second = sent[2]["after"]
    assert sent == [{}, {"after": [first]}, {"after": [first, second]}]
    chat.ask("look")
    chat.answer("Picture 3")
    chat.attach(png("more.png", photo(9)))
    chat.expect_tray(1)
    assert [*sent[3]] == ["conversation"]


def test_a_picture_is_taken_although_those_before_it_are_gone(chat: Chat) -> None:
    chat.attach(png("gone.png", photo(1)))
    chat.expect_tray(1)
    for kept in chat.page.evaluate("JSON.parse(sessionStorage.getItem('vlpro-draft')).images"):
        httpx.delete(f"{chat.base}/v1/images/{kept['id']}", trust_env=False, timeout=30).raise_for_status()
    chat.attach(png("more.png", photo(2)))
    chat.expect_tray(2)
    expect(chat.notices).to_have_count(0)


def test_viewer_turns_pages_by_keyboard(chat: Chat) -> None:
    chat.attach(*(png(f"{number}.png", photo(number)) for number in range(3)))
    chat.expect_tray(3)
    chat.ask("look")
    chat.answer("Picture 3")
    chat.page.get_by_role("button", name="查看原图: 图 1").click()
    expect(chat.viewer.locator(".picture img")).to_be_visible()
    for place in ("2/3", "3/3", "1/3"):
        chat.page.keyboard.press("PageDown")
        expect(chat.viewer.locator(".percent").first).to_have_text(place)
    chat.page.keyboard.press("1")
    expect(chat.viewer.locator(".percent").last).to_have_text("100%")
    chat.viewer.get_by_role("button", name="下一张").focus()
    chat.page.keyboard.press("Enter")
    chat.page.keyboard.press("Enter")
    expect(chat.viewer.locator(".percent").first).to_have_text("3/3")
    chat.page.keyboard.press("Escape")
    expect(chat.viewer).to_be_hidden()


def test_copy_takes_the_answer(chat: Chat) -> None:
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.ask("count to 3")
    answer = chat.answer("1 2 3")
    # What is said stands there for two seconds: it is noted as it comes.
    answer.locator(".actions").evaluate(
        "(actions) => { window.said = []; new MutationObserver(() => said.push(actions.innerText))"
        ".observe(actions, { childList: true, subtree: true }); }"
    )
    answer.get_by_role("button", name="复制").click()
    until(chat.page, lambda: "已复制" in "".join(chat.page.evaluate("said")))
    copied(chat.page, "1 2 3")


def test_export_as_markdown_and_json(chat: Chat, tmp_path: Path) -> None:
    chat.attach(png("a.png", photo(7)))
    chat.expect_tray(1)
    chat.ask("keep this box")
    chat.answer("Picture 1")
    chat.page.get_by_role("button", name="导出").click()

    def save(button: Locator, path: Path) -> str:
        with chat.page.expect_download() as download:
            button.click()
        assert download.value.suggested_filename.endswith(path.suffix)
        download.value.save_as(path)
        return path.read_text(encoding="utf-8")

    written = save(chat.page.get_by_role("button", name="Markdown 文档"), tmp_path / "chat.md")
    assert "# keep this box" in written
    assert "You asked: keep this box" in written
    assert "- 图 1 [16, 12, 48, 36] middle" in written
    data = json.loads(save(chat.page.get_by_role("button", name="JSON 数据"), tmp_path / "chat.json"))
    assert [message["role"] for message in data["messages"]] == ["user", "assistant"]
    assert data["messages"][1]["vlpro"]["grounding"][0]["label"] == "middle"


def test_conversations_are_listed_and_opened(chat: Chat) -> None:
    chat.ask("first [talk](x) *here*")
    chat.answer("You asked: first")
    chat.page.get_by_role("button", name="新对话").first.click()
    expect(chat.asked).to_have_count(0)
    expect(chat.page.get_by_role("heading", name="今天要看什么图片？")).to_be_visible()
    chat.ask("second talk")
    chat.answer("You asked: second talk")
    chat.page.get_by_role("button", name="first [talk](x) *here*").click()
    expect(chat.asked).to_have_text("first [talk](x) *here*")
    chat.page.reload()
    expect(chat.asked).to_have_text("first [talk](x) *here*")


def test_conversation_that_is_gone_says_so(fake: str, open_chat: OpenChat) -> None:
    chat = open_chat(fake, "/?c=conv_000000000000000000000000")
    expect(chat.page.get_by_text("这段对话已不存在")).to_be_visible()
    chat.ask("count to 2")
    chat.answer("1 2")


def test_several_pictures_show_their_own_boxes(chat: Chat) -> None:
    chat.attach(png("a.png", photo(1, (300, 200))))
    chat.expect_tray(1)
    chat.ask("one")
    chat.answer("Picture 1")
    chat.attach(png("b.png", photo(2, (200, 300))))
    chat.expect_tray(1)
    chat.ask("box")
    answer = chat.answer("Picture 2")
    expect(answer.locator(".caption")).to_have_text("图 2 · 200 × 300")
    loaded(answer.locator(".picture img"))
    picture, box = frames(answer.locator(".picture img"), answer.locator(".box"))
    assert box["x"] - picture["x"] == pytest.approx(picture["width"] / 4, abs=2)
    assert box["width"] == pytest.approx(picture["width"] / 2, abs=2)
    assert box["height"] == pytest.approx(picture["height"] / 2, abs=2)


def test_points_stand_on_the_picture_beside_boxes(chat: Chat) -> None:
    chat.page.get_by_role("button", name="框出物体").click()
    expect(chat.question).to_have_value(re.compile("Locate every instance .* '…'"))
    chat.page.keyboard.type("box and point")  # in the place of the blank, which is selected
    expect(chat.question).to_have_value(re.compile("'box and point'"))
    chat.attach(png("a.png", photo(3, (400, 200))))
    chat.expect_tray(1)
    chat.question.press("Enter")
    answer = chat.answer("Picture 1")
    expect(answer.locator(".box")).to_have_count(2)
    expect(answer.get_by_role("list", name="依据").get_by_role("button")).to_have_count(2)

    def middle_of_the_point(place: Locator) -> None:
        loaded(place.locator(".picture img"))
        picture, point = frames(place.locator(".picture img"), place.locator(".box.point"))
        assert point["x"] + point["width"] / 2 == pytest.approx(picture["x"] + picture["width"] / 2, abs=2)
        assert point["y"] + point["height"] / 2 == pytest.approx(picture["y"] + picture["height"] / 2, abs=2)
        assert 10 < point["width"] == point["height"] < 30

    middle_of_the_point(answer)
    answer.get_by_role("button", name="查看原图").click()
    expect(chat.viewer.locator(".box.point")).to_be_visible()
    middle_of_the_point(chat.viewer)
    chat.viewer.get_by_role("list", name="依据").get_by_role("button").last.click()
    expect(chat.viewer.locator(".box.point")).to_have_class(re.compile(r"\bheld\b"))
    expect(chat.viewer.locator(".box.point")).to_be_in_viewport()


def test_starters_fill_the_question(chat: Chat) -> None:
    chat.page.get_by_role("button", name="合计金额是多少？").click()
    expect(chat.question).to_have_value("合计金额是多少？")
    expect(chat.question).to_be_focused()
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name=re.compile("^拖放图片到这里")).click()
    assert chooser.value.is_multiple()


def test_keyboard_writes_lines_and_spares_the_input_method(chat: Chat) -> None:
    chat.question.fill("count to 2")
    chat.question.press("Shift+Enter")
    composing = "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true})"
    chat.question.evaluate(f"(field) => field.dispatchEvent({composing})")
    expect(chat.question).to_have_value("count to 2\n")
    chat.question.press("Enter")
    chat.answer("1 2")


@pytest.mark.parametrize(
    ("locale", "hello"), [("en-GB", "What shall we look at?"), ("zh-CN", "今天要看什么图片？")]
)
def test_language_follows_the_browser(fake: str, open_chat: OpenChat, locale: str, hello: str) -> None:
    chat = open_chat(fake, locale=locale)
    expect(chat.page.get_by_role("heading", name=hello)).to_be_visible()
    language = locale[:2] + ("-CN" if locale[0] == "z" else "")
    expect(chat.page.locator("html")).to_have_attribute("lang", language)


def test_language_is_switched_and_kept(chat: Chat) -> None:
    chat.question.fill("不会丢")
    chat.page.get_by_role("button", name="English").click()
    expect(chat.page.get_by_role("heading", name="What shall we look at?")).to_be_visible()
    expect(chat.question).to_have_value("不会丢")
    expect(chat.status).to_contain_text("Ready")
    chat.page.reload()
    expect(chat.page.get_by_role("heading", name="What shall we look at?")).to_be_visible()
    expect(chat.page.locator("html")).to_have_attribute("lang", "en")
    chat.page.get_by_role("button", name="中文").click()
    expect(chat.page.get_by_role("heading", name="今天要看什么图片？")).to_be_visible()


def test_dark_and_light_are_switched(chat: Chat) -> None:
    page = chat.page.locator(".stApp")
    expect(page).to_have_css("background-color", "rgb(255, 255, 255)")
    chat.page.get_by_role("slider", name="最大长度 Max Tokens").press("ArrowRight")
    expect(chat.budget).to_contain_text("预留回答 1,152")
    chat.page.get_by_role("button", name="深色").click()
    expect(chat.page.get_by_role("button", name="深色")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_css("background-color", "rgb(21, 25, 31)")
    expect(chat.budget).to_contain_text("预留回答 1,152")


def test_many_conversations_are_found_by_searching(fake: str, open_chat: OpenChat) -> None:
    with httpx.Client(base_url=fake, trust_env=False, timeout=30) as client:
        for number in range(14):
            held = client.post("/v1/conversations", json={"title": f"talk number {number:02}"}).json()["id"]
            assert client.get(f"/v1/conversations/{held}").status_code == 200
    chat = open_chat(fake)
    talks = chat.page.get_by_role("button", name=re.compile(r"^talk number \d\d$"))
    expect(talks).to_have_count(14)
    chat.page.get_by_role("searchbox", name="搜索对话").fill("NUMBER 07")
    expect(talks).to_have_count(1)
    chat.page.get_by_role("searchbox", name="搜索对话").fill("nowhere")
    expect(chat.page.get_by_text("没有符合的对话")).to_be_visible()
