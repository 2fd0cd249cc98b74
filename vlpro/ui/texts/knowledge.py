"""The words of the page "Knowledge base", and of what the chat shows of it."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "knowledge.nav": ("知识库", "Knowledge base"),
    "knowledge.about": (
        "放入说明书、图纸和规程，再按内容、型号或代码找到那一页。",
        "Put manuals, drawings and rules in; find the page by what it says, by part number or by code.",
    ),
    # bases
    "knowledge.list": ("知识库", "Knowledge bases"),
    "knowledge.none": ("还没有知识库。", "There is no knowledge base yet."),
    "knowledge.first": (
        "在左侧面板（手机上点左上角 »）新建一个知识库，再把文档拖进来。",
        "Make a knowledge base in the panel (on a phone: » above), then drop documents into it.",
    ),
    "knowledge.make": ("新建知识库", "New knowledge base"),
    "knowledge.make.do": ("新建", "Create"),
    "knowledge.name": ("名称", "Name"),
    "knowledge.description": ("说明（可不填）", "Description (may be left out)"),
    "knowledge.level": ("密级", "Level"),
    "knowledge.share": ("共享", "Share"),
    "knowledge.share.help": (
        "密级达到要求的人都能检索和查看；只有您能改动。",
        "Everybody who may read its level can search and see it; only you can change it.",
    ),
    "knowledge.shared": ("已共享", "Shared"),
    "knowledge.private": ("仅自己可见", "Only you see it"),
    "knowledge.others": ("他人共享，只读", "Shared by somebody else, to read"),
    "knowledge.counts": ("{documents} 个文档 · {pages} 页", "Documents: {documents} · pages: {pages}"),
    "knowledge.counts.none": ("还没有可检索的文档", "Nothing to search yet"),
    "knowledge.edit": ("名称与共享", "Name and sharing"),
    "knowledge.save": ("保存", "Save"),
    "knowledge.delete": ("删除知识库", "Delete knowledge base"),
    "knowledge.delete.ask": ("删除这个知识库？", "Delete this knowledge base?"),
    "knowledge.delete.body": (
        "“{name}”的全部文档和页面都会被删除，无法恢复；引用它的回答仍保留文字，但不能再打开原页。",
        (
            "All documents and pages of “{name}” are deleted for good. Answers that cite it keep their words, "
            "but their pages no longer open."
        ),
    ),
    "knowledge.delete.do": ("删除", "Delete"),
    "knowledge.keep": ("不删除", "Keep"),
    "knowledge.deleted": ("已删除知识库“{name}”。", "The knowledge base “{name}” was deleted."),
    # what finds pages
    "knowledge.used": ("检索方式", "How pages are found"),
    "knowledge.embedder": ("向量模型", "Embedding model"),
    "knowledge.index": ("索引", "Index"),
    "knowledge.index.memory": ("内存", "in memory"),
    "knowledge.index.postgres": ("PostgreSQL（pgvector）", "PostgreSQL (pgvector)"),
    "knowledge.index.elasticsearch": ("Elasticsearch", "Elasticsearch"),
    "knowledge.indexed": ("已索引", "Indexed"),
    "knowledge.indexed.pages": ("{pages} 页 · {passages} 段", "{pages} pages · {passages} passages"),
    "knowledge.loading": ("正在载入索引", "Loading the index"),
    # documents
    "knowledge.documents": ("文档", "Documents"),
    "knowledge.no_documents": ("还没有文档。", "There is no document yet."),
    "knowledge.filter": ("按文件名查找", "Find by file name"),
    "knowledge.filter.hint": ("文件名的一部分", "Part of a file name"),
    "knowledge.filter.state": ("状态", "State"),
    "knowledge.filter.all": ("全部", "All"),
    "knowledge.filter.going": ("读取中", "Being read"),
    "knowledge.filter.failed": ("失败或停止", "Failed or stopped"),
    "knowledge.filter.none": ("没有这样的文档。", "There is no such document."),
    "knowledge.add": ("添加文档", "Add documents"),
    "knowledge.drop": (
        "拖放到这里，或点击选择：PDF、图片、DOCX、PPTX，可多选；同名文件会成为新版本。",
        (
            "Drop files here, or click to choose: PDF, pictures, DOCX, PPTX; several at once. "
            "The same name makes a new version."
        ),
    ),
    "knowledge.sending": ("正在上传第 {number} 个，共 {all} 个", "Sending file {number} of {all}"),
    "knowledge.stop": ("停止", "Stop"),
    "knowledge.stopped": ("已停止上传，还有 {count} 个文件未上传。", "Stopped: {count} files were not sent."),
    "knowledge.failed": ("{name}：{why}", "{name}: {why}"),
    "knowledge.wrong_type": (
        "不是 PDF、图片、DOCX 或 PPTX",
        "not a PDF, picture, DOCX or PPTX",
    ),
    "knowledge.empty": ("文件为空", "the file is empty"),
    "knowledge.no_answer": ("服务没有响应，请重试", "the service does not answer; try again"),
    "knowledge.pages": ("{pages} 页", "Pages: {pages}"),
    "knowledge.reading": ("已读 {done} / {pages} 页", "{done} of {pages} pages read"),
    "knowledge.pace": ("每秒 {rate} 页", "{rate} pages/s"),
    "knowledge.left.minutes": ("约剩 {count} 分钟", "about {count} min left"),
    "knowledge.left": ("约剩 1 分钟", "about a minute left"),
    "knowledge.version": ("第 {version} 版", "version {version}"),
    "knowledge.is.queued": ("排队中", "Waiting"),
    "knowledge.is.reading": ("读取中", "Being read"),
    "knowledge.is.ready": ("可检索", "Ready"),
    "knowledge.is.failed": ("读取失败", "Failed"),
    "knowledge.is.cancelled": ("已停止", "Stopped"),
    "knowledge.cancelled.why": (
        "已停止读取；再次上传即可重新读取。",
        "It is not read on; send it again to read it.",
    ),
    "knowledge.stop_document": ("停止读取：{name}", "Stop reading: {name}"),
    "knowledge.delete_document": ("删除：{name}", "Delete: {name}"),
    "knowledge.sure": (
        "删除这个文档的所有版本？无法恢复。",
        "Delete this document with all its versions? It cannot be undone.",
    ),
    # finding
    "knowledge.question": ("要找什么", "What to find"),
    "knowledge.question.hint": ("例如：E11 接口在哪里？", "For example: Where is connector E11?"),
    "knowledge.search": ("检索", "Search"),
    "knowledge.where": ("检索范围", "Where to search"),
    "knowledge.here": ("本知识库", "This one"),
    "knowledge.everywhere": ("全部知识库", "All"),
    "knowledge.hits": ("检索结果", "Found"),
    "knowledge.nothing": ("没有找到任何段落。", "No passage was found."),
    "knowledge.not_found": (
        "这些文档中没有找到答案。以下是最接近的段落，仅供参考。",
        "Not found in these documents. The nearest passages are below; perhaps one helps.",
    ),
    "knowledge.perhaps": ("也许相关", "Perhaps"),
    "knowledge.at": ("{document} · 第 {page} 页", "{document} · page {page}"),
    "knowledge.open": ("打开：{document} · 第 {page} 页", "Open: {document}, page {page}"),
    "knowledge.gone": (
        "打不开这一页：文档已删除或更新，或您不再有权查看。",
        "This page does not open: its document was deleted or replaced, or you may not see it any more.",
    ),
    "knowledge.passage": ("原文", "Passage"),
    # in the chat
    "knowledge.sources": ("来源", "Sources"),
    "knowledge.chat": ("知识库", "Knowledge base"),
    "knowledge.chat.chosen": ("知识库：{names}", "Knowledge base: {names}"),
    "knowledge.chat.which": ("根据哪些知识库回答", "Answer from these knowledge bases"),
    "knowledge.chat.help": (
        "选择后，本对话的回答以这些文档为依据，并注明来源页。不选则照常回答。",
        (
            "Answers in this conversation then rest on these documents and name their pages. "
            "With none chosen they are as usual."
        ),
    ),
}
