"""The words of the page "Report"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "report.nav": ("报告", "Report"),
    "report.about": (
        "多张图片和说明写成一份检查报告。",
        "Several pictures and a note become one inspection report.",
    ),
    # beginning one
    "report.add": ("添加图片", "Add pictures"),
    "report.drop": (
        "拖放到这里，或点击选择：同一对象的各个角度，最多 {most} 张，可含 PDF。",
        "Drop them here, or click to choose: all sides of one thing, {most} at most, PDFs too.",
    ),
    "report.count": ("{count} / {most} 张", "{count} of {most}"),
    "report.remove": ("移除 {name}", "Remove {name}"),
    "report.instruction": ("检查要求", "What to look for"),
    "report.instruction.hint": (
        "例如：检查接线端子是否松动、有无灼痕，核对铭牌型号。",
        "For example: Are the terminals loose or burnt? Does the nameplate match?",
    ),
    "report.language": ("报告语言", "Written in"),
    "report.begin": ("生成报告", "Make the report"),
    "report.stop": ("停止", "Stop"),
    "report.sending": ("正在上传 {done} / {all}", "Sending {done} of {all}"),
    "report.reading": ("正在读取图片", "Reading the pictures"),
    "report.not_sent": ("已停止上传", "The upload was stopped"),
    "report.failed": ("{name}：{why}", "{name}: {why}"),
    "report.wrong_type": ("不是 JPEG、PNG、BMP、WebP 或 PDF", "no JPEG, PNG, BMP, WebP or PDF"),
    "report.too_large": ("超过 {limit} MB", "larger than {limit} MB"),
    "report.too_many": ("最多 {most} 张，未添加", "not added: {most} are the most"),
    "report.no_answer": ("服务没有响应，请重试", "the service does not answer; try again"),
    # those there are
    "report.list": ("我的报告", "My reports"),
    "report.first": (
        "在左侧面板（手机上点左上角 »）添加同一对象的图片，写明检查要求；报告可导出 Word 和 PDF。",
        "Add pictures of one thing in the panel (on a phone: » above); the report can be taken as Word or PDF.",
    ),
    "report.none": ("还没有报告。", "There is no report yet."),
    "report.unfinished": ("未完成的报告", "Unfinished report"),
    # one
    "report.making": ("正在生成报告", "The report is being made"),
    "report.step.picture": ("正在查看图片 {number} / {total}", "Looking at picture {number} of {total}"),
    "report.step.conclude": ("正在写结论", "Writing the conclusion"),
    "report.in_progress": ("进行中", "In progress"),
    "report.cancelled": ("已停止", "Stopped"),
    "report.cancelled.why": (
        "这份报告已停止，没有保存。可重新添加图片再生成。",
        "This report was stopped, and is not kept. Add the pictures again for another.",
    ),
    "report.broken": ("失败", "Failed"),
    "report.verdict": ("结论", "Verdict"),
    "report.pass": ("未见问题", "Nothing wrong was seen"),
    "report.review": ("需要人工确认", "A person must look"),
    "report.fail": ("存在问题", "Something is wrong"),
    "report.summary": ("摘要", "Summary"),
    "report.findings": ("发现", "Findings"),
    "report.elsewhere": ("没有具体位置的发现", "Findings without a place"),
    "report.no_findings": ("没有列出发现。", "No finding is listed."),
    "report.finding": ("发现", "Finding"),
    "report.picture": ("图片", "Picture"),
    "report.severity": ("严重程度", "Severity"),
    "report.info": ("记录", "For the record"),
    "report.minor": ("轻微", "Minor"),
    "report.major": ("严重", "Major"),
    "report.critical": ("危险", "Critical"),
    "report.blind": (
        "当前引擎只识别文字和条码，看不懂画面：结论须由人工看图后作出。",
        "The engine in use reads texts and codes and does not see: a person must look and conclude.",
    ),
    "report.gone": ("图片已按保存期限删除。", "The picture was deleted when its time was over."),
    "report.take": ("下载", "Download"),
    "report.delete": ("删除", "Delete"),
    "report.delete.ask": ("删除这份报告？", "Delete this report?"),
    "report.delete.body": (
        "报告和图片会被永久删除；审计记录仍保留。",
        "The report and its pictures are deleted for good; the audit record stays.",
    ),
    "report.keep": ("取消", "Cancel"),
    "report.deleted": ("报告已删除。", "The report was deleted."),
}
