// The left panel of a phone lies over the page: what was chosen in it is seen only when it is gone.

const NARROW = matchMedia("(max-width: 768px)"); // Streamlit's own bound

export function shutDrawer() {
  if (!NARROW.matches) return;
  document.querySelector('[data-testid="stSidebarCollapseButton"] button[aria-expanded="true"]')?.click();
}
