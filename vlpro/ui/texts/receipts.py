"""The words of the page "Receipts"."""

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "receipts.nav": ("票据", "Receipts"),
    "receipts.about": (
        "发票、车票和小票识别成字段，逐项核对后交给业务系统。",
        "Invoices, tickets and receipts become fields; you check them, and they go to your systems.",
    ),
}
