"""Every word of the pages before the application, in Chinese and English.

What begins with one of :data:`FOR_ROUTES` is not in a template: the routes fill it and hand it to a page.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["FOR_ROUTES", "LANGUAGES", "STRINGS", "Language", "text"]

Language = Literal["zh", "en"]

LANGUAGES: dict[Language, str] = {"zh": "中文", "en": "English"}

FOR_ROUTES = ("drift.", "ended.", "error.", "message.", "notice.", "problem.", "rule.")

STRINGS: dict[str, tuple[str, str]] = {
    # around every page
    "product": ("Qwen3-VL-4B Pro", "Qwen3-VL-4B Pro"),
    "tagline": ("企业内网图文助手", "Private vision-language assistant"),
    "footer": (
        "登录及失败的尝试都会写入审计记录。需要帮助请联系信息中心。",
        "Sign-ins are recorded, failed ones too. Call the IT desk for help.",
    ),
    "title.error": ("出错：", "Error: "),
    "continue": ("继续", "Continue"),
    "cancel": ("返回登录", "Back to sign-in"),
    "home": ("返回应用", "Back to the application"),
    "show": ("显示", "Show"),
    "hide": ("隐藏", "Hide"),
    "show.what": ("密码", "password"),
    "caps": ("大写锁定已打开", "Caps Lock is on"),
    "optional": ("选填", "optional"),
    "copy": ("复制", "Copy"),
    "copied": ("已复制", "Copied"),
    "password": ("密码", "Password"),
    "password.current": ("当前密码", "Current password"),
    # 1, 2: sign-in
    "steps": ("步骤", "Steps"),
    "step.account": ("账号", "Account"),
    "step.factor": ("二次验证", "Second factor"),
    "step.codes": ("恢复码", "Recovery codes"),
    "login.title": ("登录", "Sign in"),
    "login.name": ("用户名", "User name"),
    "login.or": ("或", "or"),
    "login.oidc": ("统一登录：{label}", "Company sign-in: {label}"),
    "factor.who": ("正在登录：{login}", "Signing in as {login}"),
    "factor.totp.title": ("输入动态口令", "One-time code"),
    "factor.totp.hint": (
        "打开验证器应用，输入 6 位数字。每 30 秒更新一次。",
        "Six digits from the authenticator app. They change every 30 seconds.",
    ),
    "factor.totp.label": ("动态口令", "Code"),
    "factor.totp.format": ("6 位数字", "Six digits"),
    "factor.totp.use": ("使用动态口令", "Use a one-time code"),
    "factor.passkey.title": ("使用通行密钥", "Passkey"),
    "factor.passkey.hint": (
        "点击下面的按钮，用指纹、面容、PIN 或安全密钥确认。",
        "Press the button, then confirm with fingerprint, face, PIN or security key.",
    ),
    "factor.passkey.do": ("用通行密钥登录", "Sign in with a passkey"),
    "factor.passkey.use": ("使用通行密钥", "Use a passkey"),
    "factor.recovery.title": ("输入恢复码", "Recovery code"),
    "factor.recovery.hint": (
        "设置验证方式时保存的恢复码之一。每个只能用一次。",
        "One of the codes saved when the second factor was set up. Each works once.",
    ),
    "factor.recovery.label": ("恢复码", "Recovery code"),
    "factor.recovery.use": ("使用恢复码", "Use a recovery code"),
    "factor.back": ("返回上一步", "Back"),
    # passkeys in the browser
    "passkey.missing": (
        "此处不能使用通行密钥：需要 JavaScript、HTTPS 和较新的浏览器。",
        "Passkeys do not work here: they need JavaScript, HTTPS and a recent browser.",
    ),
    "passkey.waiting": ("等待确认…", "Waiting for confirmation…"),
    "passkey.cancelled": (
        "没有完成：已取消，或等待时间过长。请再点一次按钮。",
        "Not completed: it was cancelled or took too long. Press the button again.",
    ),
    "passkey.registered": (
        "这个设备或安全密钥已经登记过。请换一个，或直接使用它。",
        "This device or security key is already registered. Use another one, or sign in with it.",
    ),
    "passkey.address": (
        "浏览器拒绝了通行密钥：网址与设置不符。请通过本单位公布的网址打开本页。",
        "The browser refused: the address is not the configured one. Open this page at your company's address.",
    ),
    "passkey.failed": (
        "通行密钥没有成功。请重试，或改用其他方式。",
        "The passkey did not work. Try again, or use another way.",
    ),
    "passkey.offline": (
        "连接不上服务。请检查网络后重试。",
        "The service cannot be reached. Check the network, then try again.",
    ),
    "passkey.name": ("通行密钥的名称", "Name of the passkey"),
    "passkey.name.example": ("例如：工位上的 YubiKey", "For example: YubiKey on the desk"),
    "passkey.add": ("添加通行密钥", "Add a passkey"),
    "passkey.about": (
        "存放在电脑、手机或安全密钥中，用指纹、面容或 PIN 确认。不用输入数字，在仿冒网站上也不会生效。",
        (
            "Kept in the computer, the phone or a security key, and confirmed with fingerprint, face or PIN. "
            "Nothing to type, and it does not work on an imitation of this site."
        ),
    ),
    # 3: password
    "password.first.title": ("设置新密码", "Choose a password"),
    "password.first.hint": (
        "首次登录，或密码由管理员重置过。请换成只有自己知道的密码。",
        "This is the first sign-in, or an administrator reset the password. Choose one that only you know.",
    ),
    "password.aged.title": ("密码已到期", "The password has expired"),
    "password.aged.hint": ("设置新密码后继续登录。", "Choose a new one to go on."),
    "password.chosen.title": ("更改密码", "Change password"),
    "password.chosen.hint": (
        "更改后，其他设备上的登录会结束。",
        "Sign-ins on other devices end with the change.",
    ),
    "password.new": ("新密码", "New password"),
    "password.repeat": ("再次输入新密码", "New password again"),
    "password.rules": ("密码要求", "The password"),
    "password.problems": ("新密码没有保存：", "The new password was not saved:"),
    "password.differ": ("两次输入的新密码不一致。", "The two new passwords differ."),
    "password.save": ("保存新密码", "Save the new password"),
    # 4: second factor
    "enrol.title": ("设置二次验证", "Set up a second factor"),
    "enrol.hint": (
        "以后登录时，除密码外还要用它确认身份。",
        "From now on it confirms each sign-in, in addition to the password.",
    ),
    "enrol.replace.title": ("更换验证器", "Replace the authenticator"),
    "enrol.replace.hint": (
        "输入新的动态口令后，原来的验证器失效。",
        "The old authenticator stops working once the new code is entered.",
    ),
    "enrol.app": ("验证器应用", "Authenticator app"),
    "enrol.scan": (
        "在手机的验证器应用中扫描二维码。支持 TOTP 的应用都可以，不需要联网。",
        "Scan the code with an authenticator app on the phone. Any app for TOTP will do; it needs no network.",
    ),
    "enrol.type": ("输入应用中显示的 6 位数字。", "Type the six digits that the app shows."),
    "enrol.qr": ("用于验证器应用的二维码", "QR code for the authenticator app"),
    "enrol.manual": ("不能扫码？手动输入密钥", "Cannot scan? Type the key instead"),
    "enrol.account": ("账号", "Account"),
    "enrol.secret": ("密钥", "Key"),
    "enrol.kind": ("类型", "Kind"),
    "enrol.kind.totp": ("基于时间，6 位，30 秒", "Time-based, 6 digits, 30 seconds"),
    "enrol.do": ("确认", "Confirm"),
    "enrol.passkey": ("或者：通行密钥", "Or: a passkey"),
    # 5: recovery codes
    "codes.title": ("保存恢复码", "Save the recovery codes"),
    "codes.hint": (
        "手机或安全密钥不在手边时，用恢复码登录。每个只能用一次，只在这一页显示，离开后无法再看。",
        (
            "They let you in when the phone or the security key is not at hand. Each works once. They are shown on "
            "this page only and cannot be seen again."
        ),
    ),
    "codes.keep": (
        "请打印，或存入密码管理器。不要与密码放在一起。",
        "Print them or keep them in a password manager, apart from the password.",
    ),
    "codes.list": ("恢复码", "Recovery codes"),
    "codes.print": ("打印", "Print"),
    "codes.kept": ("恢复码已保存在安全的地方", "The codes are kept in a safe place"),
    # 6: first start
    "setup.title": ("首次设置", "First start"),
    "setup.hint": (
        "创建两个管理员账号。两者分工，任何一方都不能代替另一方，应由两个人担任。",
        (
            "Creates the two administrators. Their work is divided and neither can do the other's: they should be "
            "two people."
        ),
    ),
    "setup.secret": ("设置密钥", "Setup secret"),
    "setup.secret.hint": (
        "首次启动时在终端给出，或在服务器上运行 vlpro user setup 获取；设置完成后失效。",
        "Shown on the terminal at the first start, or by vlpro user setup at the machine; it ends with the setup.",
    ),
    "setup.security": ("安全管理员", "Security administrator"),
    "setup.security.hint": (
        "制定策略，分配角色。不能创建账号。",
        "Decides policy and roles. Cannot create accounts.",
    ),
    "setup.system": ("系统管理员", "System administrator"),
    "setup.system.hint": (
        "创建和维护账号。不能分配角色或修改策略。",
        "Creates and maintains accounts. Cannot give roles or change policy.",
    ),
    "setup.name": ("姓名", "Name"),
    "setup.password": ("初始密码", "First password"),
    "setup.then": (
        "两人首次登录时各自更改密码，并设置二次验证。",
        "At the first sign-in each changes the password and sets up a second factor.",
    ),
    "setup.do": ("创建两个账号", "Create both accounts"),
    "setup.problems": (
        "没有创建账号：请改正标出的内容后再试。",
        "No account was created: correct what is marked, then try again.",
    ),
    # 7: own second factors
    "factors.title": ("登录验证方式", "Second factors"),
    "factors.hint": (
        "登录时用来确认身份的验证器、通行密钥和恢复码。",
        "Authenticator, passkeys and recovery codes that confirm your sign-ins.",
    ),
    "factors.ask": (
        "每次修改都要输入当前密码。",
        "Each change asks for the current password.",
    ),
    "factors.created": ("{created} 设置", "Set up {created}"),
    "factors.totp.none": ("尚未设置", "Not set up"),
    "factors.totp.set": ("设置", "Set up"),
    "factors.totp.replace": ("更换", "Replace"),
    "factors.passkeys": ("通行密钥", "Passkeys"),
    "factors.passkeys.none": ("还没有通行密钥。", "No passkeys yet."),
    "factors.passkey.unnamed": ("未命名", "Unnamed"),
    "factors.added": ("{created} 添加", "Added {created}"),
    "factors.used": ("{used} 用过", "Used {used}"),
    "factors.unused": ("没有用过", "Never used"),
    "factors.remove": ("移除", "Remove"),
    "factors.remove.named": ("移除“{name}”", "Remove “{name}”"),
    "factors.remove.sure": (
        "移除后，不能再用它登录。",
        "It can no longer be used to sign in.",
    ),
    "factors.codes.left": ("还剩 {left} 个可用", "{left} left"),
    "factors.codes.new": ("生成新的恢复码", "New recovery codes"),
    "factors.codes.sure": ("原有的恢复码随即失效。", "The old codes stop working at once."),
    "factors.codes.do": ("生成", "Make new codes"),
    # from the routes: how signing in went
    "error.login_wrong": (
        "用户名或密码不正确，还可尝试 {left} 次。",
        "User name or password is wrong. {left} tries left.",
    ),
    "error.login_wrong_last": (
        "用户名或密码不正确，还可尝试 1 次。再次失败后，{minutes} 分钟内不能登录。",
        "User name or password is wrong. 1 try left; after that, no sign-in for {minutes} min.",
    ),
    "error.too_many": (
        "失败次数过多，已暂停登录。请在 {minutes} 分钟后重试。",
        "Too many failures; sign-in is paused. Try again in {minutes} min.",
    ),
    "error.code_wrong": (
        "口令不正确或已过期，请等下一个口令再试。",
        "The code is wrong or has expired. Wait for the next one.",
    ),
    "error.code_used": (
        "这个口令已经用过。请等应用显示下一个口令再试。",
        "This code has been used already. Wait until the app shows the next one.",
    ),
    "error.recovery_wrong": (
        "恢复码不正确或已经用过。请换一个没有用过的恢复码。",
        "The recovery code is wrong or used. Try one that you have not used yet.",
    ),
    "error.passkey_refused": (
        "通行密钥未通过验证。请重试，或改用其他方式。",
        "The passkey was refused. Try again, or use another way.",
    ),
    "error.no_role": (
        "账号还没有角色，不能登录。请联系安全管理员分配角色。",
        "This account has no role yet and cannot sign in. Ask a security administrator for one.",
    ),
    "error.disabled": (
        "账号已停用，不能登录。请联系系统管理员。",
        "This account is disabled and cannot sign in. Ask a system administrator.",
    ),
    "error.directory": (
        "连接不上本单位的目录服务，暂时无法核对密码。请稍后重试。",
        "The company's directory cannot be reached, so the password cannot be checked. Try again shortly.",
    ),
    "error.oidc": (
        "本单位的统一登录没有完成。请重试，或用用户名和密码登录。",
        "The company's sign-in was not completed. Try again, or use your user name and password.",
    ),
    "error.expired": ("登录已超时。请重新开始。", "This sign-in has expired. Begin again."),
    "error.foreign": (
        "请求不是从本页发出的，没有执行。请重新打开本页再试。",
        "The request did not come from this page and was not carried out. Open the page again and retry.",
    ),
    "error.required": ("请填写全部必填项。", "Fill in everything that is required."),
    # from the routes: the phone's clock
    "drift.slow": (
        "您的手机时钟慢了 {seconds} 秒。请在手机设置中打开自动对时，再输入新的口令。",
        "Your phone's clock is {seconds} s slow. Turn on automatic time in its settings, then use a new code.",
    ),
    "drift.fast": (
        "您的手机时钟快了 {seconds} 秒。请在手机设置中打开自动对时，再输入新的口令。",
        "Your phone's clock is {seconds} s fast. Turn on automatic time in its settings, then use a new code.",
    ),
    # from the routes: passwords
    "error.passwords_differ": (
        "两次输入的新密码不一致，请重新输入。",
        "The two new passwords differ. Type them again.",
    ),
    "error.current_wrong": (
        "当前密码不正确，没有修改。请重新输入。",
        "The current password is wrong; nothing was changed. Type it again.",
    ),
    "rule.length": ("至少 {n} 个字符", "At least {n} characters"),
    "rule.classes": (
        "小写字母、大写字母、数字、其他字符，至少包含其中 {k} 类",
        "At least {k} of: lower case, upper case, digits, other characters",
    ),
    "rule.name": ("不含用户名或姓名", "Contains neither the user name nor your name"),
    "rule.history": ("与最近用过的 {n} 个密码不同", "Differs from the last {n} passwords"),
    "rule.guess": (
        "不易猜到：避开常用词、日期和键盘上相邻的键",
        "Hard to guess: no common words, dates or neighbouring keys",
    ),
    "rule.age": ("一天之内只能更改一次", "Can be changed once a day"),
    "problem.short": ("密码太短，至少需要 {n} 个字符。", "It is too short: {n} characters at least."),
    "problem.long": ("密码太长，最多 {n} 个字符。", "It is too long: {n} characters at most."),
    "problem.classes": (
        "字符种类不够：小写字母、大写字母、数字、其他字符，至少要有其中 {k} 类。",
        "Too few kinds of characters: at least {k} of lower case, upper case, digits, other.",
    ),
    "problem.name": (
        "密码中含有用户名或姓名，请去掉。",
        "It contains the user name or your name. Leave that out.",
    ),
    "problem.history": (
        "这个密码以前用过。请换一个与最近 {n} 个都不同的。",
        "It was used before. Choose one that differs from the last {n}.",
    ),
    "problem.guessed": (
        "这个密码太容易猜到。可以用几个互不相关的词，或者加长。",
        "It is too easily guessed. Use several unrelated words, or make it longer.",
    ),
    "problem.same": (
        "新密码与当前密码相同，请换一个。",
        "It is the same as the current password. Choose another.",
    ),
    "problem.too_soon": (
        "一天之内已更改过密码，请明天再改。急需更改时，请联系系统管理员重置。",
        "The password was changed less than a day ago. Try tomorrow; if it is urgent, ask a system administrator.",
    ),
    # from the routes: first start
    "error.setup_secret": (
        "设置密钥不正确或已过期。请在服务器上运行 vlpro user setup 获取新的密钥。",
        "The setup secret is wrong or has expired. vlpro user setup, at the machine, gives a new one.",
    ),
    "error.setup_done": (
        "首次设置已经完成，不能再做一次。请直接登录。",
        "The setup is done and cannot be repeated. Sign in instead.",
    ),
    "problem.login_taken": ("这个用户名已被使用，请换一个。", "This user name is taken. Choose another."),
    "problem.login_form": (
        "用户名须为 3–64 个字符，只含字母、数字和 . _ - @，请修改。",
        "A user name has 3–64 characters: letters, digits and . _ - @ only.",
    ),
    "problem.login_same": (
        "两个账号的用户名不能相同，请修改一个。",
        "The two accounts need different user names.",
    ),
    "problem.required": ("这一项不能为空，请填写。", "This is needed. Fill it in."),
    # from the routes: own second factors
    "error.last_factor": (
        "这是仅有的验证方式，不能移除。请先添加另一种。",
        "This is the only second factor and cannot be removed. Add another one first.",
    ),
    "notice.password_changed": ("密码已更改。", "The password was changed."),
    "notice.totp_saved": ("验证器已设置。", "The authenticator was set up."),
    "notice.passkey_added": ("通行密钥已添加。", "The passkey was added."),
    "notice.passkey_removed": ("通行密钥已移除。", "The passkey was removed."),
    "notice.codes_saved": ("新的恢复码已启用。", "The new recovery codes are in force."),
    # from the routes: why somebody is at the sign-in again
    "ended.idle": (
        "超过 {minutes} 分钟没有操作，会话已结束。请重新登录。",
        "The session ended after {minutes} min without activity. Sign in again.",
    ),
    "ended.signed_out": ("已退出登录。", "You are signed out."),
    "ended.administrator": (
        "管理员结束了这次会话。请重新登录。",
        "An administrator ended the session. Sign in again.",
    ),
    "ended.over": (
        "会话已结束：已到期，或由本人、管理员结束。请重新登录。",
        "The session is over: its time was up, or you or an administrator ended it. Sign in again.",
    ),
    # from the routes: the page with nothing but a message
    "message.to_login": ("去登录", "Go to sign-in"),
    "message.again": ("重新开始", "Begin again"),
    "message.retry": ("重试", "Try again"),
    "message.setup.title": ("设置已完成", "The setup is done"),
    "message.setup.body": (
        "两个管理员账号已创建。请各自登录，更改密码并设置二次验证。",
        "Both administrators exist. Each signs in, changes the password and sets up a second factor.",
    ),
    "message.signed_out.title": ("已退出登录", "Signed out"),
    "message.refused.title": ("不能登录", "Sign-in is not possible"),
    "message.unavailable.title": ("暂时无法登录", "Sign-in is not available"),
    "message.expired.title": ("登录已超时", "This sign-in has expired"),
    "message.missing.title": ("没有这个页面", "No such page"),
}


def text(key: str, language: Language, **values: object) -> str:
    """A sentence in a language, with its places filled.

    Raises:
        KeyError: There is no such sentence, or a place has no value.
    """
    sentence = STRINGS[key][0 if language == "zh" else 1]
    return sentence.format(**values) if values else sentence
