"""The settings of the policy: names, what each does, choices, rules."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "rule_group": ("规则 {number}：目录中的组", "Rule {number}: group in the directory"),
    "rule_role": ("规则 {number}：角色", "Rule {number}: role"),
    "rule_level": ("规则 {number}：密级", "Rule {number}: level"),
    "rule_remove": ("移除规则 {number}", "Remove rule {number}"),
    "rule_add": ("添加规则", "Add a rule"),
    "rule_example": (
        "组名或 DN，例如 cn=vl-users,ou=groups,dc=example",
        "Name or DN, such as cn=vl-users,ou=groups,dc=example",
    ),
    "choice.administrators": ("仅管理员", "Administrators only"),
    "choice.everybody": ("所有人", "Everybody"),
    "choice.none": ("不授予", "None"),
    "choice.user": ("普通用户", "User"),
    "setting.password_min_length": ("最短长度", "Least length"),
    "setting.password_min_length.help": ("密码的最少字符数。", "Characters that a password has at least."),
    "setting.password_classes": ("字符种类", "Kinds of characters"),
    "setting.password_classes.help": (
        "大写、小写、数字、符号中至少包含几种。",
        "How many of upper case, lower case, digits and symbols.",
    ),
    "setting.password_score": ("强度", "Strength"),
    "setting.password_score.help": (
        "按被猜中的难易程度打分，越高越难猜。",
        "How hard to guess it must be; more is harder.",
    ),
    "setting.password_history": ("不得重复的历史密码", "Earlier passwords not used again"),
    "setting.password_history.help": (
        "新密码不能与最近几个密码相同。",
        "A new password is none of the last ones.",
    ),
    "setting.password_max_age_days": ("更换周期（天）", "Change after (days)"),
    "setting.password_max_age_days.help": (
        "超过后，登录时须更改密码。",
        "After this it must be changed at sign-in.",
    ),
    "setting.second_factor": ("二次验证", "Second factor"),
    "setting.second_factor.help": (
        "谁在登录时除密码外还须用第二种方式。管理员始终需要。",
        "Who needs a second way to sign in besides the password. Administrators always do.",
    ),
    "setting.directory_second_factor": ("企业目录用户也需二次验证", "Second factor for directory users too"),
    "setting.directory_second_factor.help": (
        "关闭时，由企业目录负责对其用户的二次验证。管理员不受影响。",
        "If off, the company's directory takes care of it for its users. Administrators need one anyway.",
    ),
    "setting.lock_after_failures": ("失败几次后锁定账号", "Lock a login after failures"),
    "setting.lock_after_failures.help": (
        "连续登录失败达到此数后锁定。",
        "Failed sign-ins in a row until it is locked.",
    ),
    "setting.lock_minutes": ("锁定时间（分钟）", "Lock for (minutes)"),
    "setting.lock_minutes.help": (
        "到时自动解锁，系统管理员也可提前解锁。",
        "It unlocks by itself; the system administrator can do so earlier.",
    ),
    "setting.address_failures": ("失败几次后锁定地址", "Lock an address after failures"),
    "setting.address_failures.help": (
        "同一地址登录失败达到此数后，暂停该地址登录。",
        "Failed sign-ins from one address until it has to wait.",
    ),
    "setting.idle_minutes": ("空闲退出（分钟）", "Sign out when idle (minutes)"),
    "setting.idle_minutes.help": (
        "超过此时间没有操作，会话结束。",
        "A session ends when nobody has done anything for this long.",
    ),
    "setting.session_hours": ("最长会话（小时）", "Longest session (hours)"),
    "setting.session_hours.help": (
        "到时无论是否在用都须重新登录。",
        "After this one signs in again, in use or not.",
    ),
    "setting.sessions_per_account": ("每个账号的会话数", "Sessions an account"),
    "setting.sessions_per_account.help": (
        "超过时，最久未用的会话结束。",
        "With one more, the longest unused one ends.",
    ),
    "setting.disable_after_idle_days": ("久未使用后停用（天）", "Disable when unused for (days)"),
    "setting.disable_after_idle_days.help": (
        "超过此天数没有登录的账号自动停用。",
        "An account that nobody signed in with for this long is disabled.",
    ),
    "setting.new_accounts_role": ("新账号的角色", "Role of new accounts"),
    "setting.new_accounts_role.help": (
        "系统管理员创建账号时自动授予的角色。",
        "What an account is given when the system administrator makes it.",
    ),
    "setting.directory_groups": ("企业目录的组", "Groups of the company's directory"),
    "setting.directory_groups.help": (
        "目录中属于某组的人获得的角色和密级。规则相互矛盾时不授予角色。",
        "Role and level of who is in a group there. Rules that contradict each other give no role.",
    ),
    "setting.user_addresses": ("普通用户的访问地址", "Addresses of users"),
    "setting.user_addresses.help": (
        "允许访问的网段，每行一个。",
        "Networks from which they may come, one a line.",
    ),
    "setting.administration_addresses": ("管理员的访问地址", "Addresses of administrators"),
    "setting.administration_addresses.help": (
        "允许管理员访问的网段，每行一个。请保留当前所用的地址。",
        "Networks from which administrators may come, one a line. Keep your own address in it.",
    ),
    "setting.key_max_days": ("最长有效期（天）", "Longest validity (days)"),
    "setting.key_max_days.help": ("新建密钥的有效期上限。", "Of a new key."),
    "setting.keys_per_account": ("每个账号的密钥数", "Keys an account"),
    "setting.keys_per_account.help": ("设为 0 表示不允许使用密钥。", "0: nobody makes any."),
    "setting.key_requests_per_minute": ("每分钟请求数", "Requests a minute"),
    "setting.key_requests_per_minute.help": (
        "每个密钥的上限；多个副本各自计数。",
        "Of each key, at most. Several replicas count each by itself.",
    ),
    "setting.audit_texts": ("审计中的文字", "Texts in the audit"),
    "setting.audit_texts.help": (
        "提问和回答在审计中只留哈希，或另外加密保存原文，供审计管理员说明理由后查看。",
        (
            "Of questions and answers the audit keeps a hash only, or the text, encrypted, too, for the audit "
            "administrator to read with a reason."
        ),
    ),
    "choice.hashed": ("只留哈希", "Hash only"),
    "choice.encrypted": ("加密保存", "Encrypted"),
    "setting.store_conversations": ("保存对话", "Store conversations"),
    "setting.store_conversations.help": (
        "加密保存对话，重启后仍可查看和搜索。关闭后新对话只在内存中，已保存的可以查看、导出和删除，不能再提问。",
        (
            "Conversations are stored, encrypted, and can be opened and searched after a restart. Off: new ones live "
            "in memory only; those that are stored can be read, exported and deleted, and not asked in."
        ),
    ),
    "setting.conversation_days": ("对话保存天数", "Days to keep conversations"),
    "setting.conversation_days.help": (
        "最后一次提问后超过这个天数的对话会被删除。",
        "A conversation in which nobody has asked for this long is deleted.",
    ),
    "setting.keep_images": ("保存图片", "Keep pictures"),
    "setting.keep_images.help": (
        "加密保存对话中的图片（去除元数据）。关闭后已保存的图片会被删除。",
        "Pictures of stored conversations are stored, too: encrypted, without metadata. Off: those that are kept go.",
    ),
    "setting.watermark": ("页面水印", "Watermark"),
    "setting.watermark.help": (
        "在所有页面上显示姓名、用户名、时间和密级。",
        "Shows name, user name, time and level over all pages.",
    ),
    "setting.mask_answers": ("回答脱敏", "Mask answers"),
    "setting.mask_answers.help": (
        "回答中的身份证号、电话、银行卡号、邮箱和下列姓名以星号代替，例如 138****5678。",
        "Identity numbers, telephones, bank cards, e-mail addresses and the names below become stars: 138****5678.",
    ),
    "setting.mask_exports": ("导出脱敏", "Mask exports"),
    "setting.mask_exports.help": (
        "导出的对话中，问题和回答都同样脱敏。",
        "The same in conversations that people take out, in questions and answers.",
    ),
    "setting.mask_shipped": ("审计外送脱敏", "Mask the shipped audit"),
    "setting.mask_shipped.help": (
        "发送到 Elasticsearch 或 syslog 的副本脱敏；含此类内容的记录只能在本系统核验。",
        "The same in the copy at Elasticsearch or syslog; records that held any can be verified here only.",
    ),
    "setting.mask_names": ("脱敏的姓名", "Names to mask"),
    "setting.mask_names.help": (
        "每行一个，完全一致才会替换；只保留首字。此名单会写入审计记录。",
        "One a line, found exactly as written; the first character stays. The list goes on the audit record.",
    ),
}
