/** Takes the token out of the address's fragment into the form, and the fragment out of the history. */
const token = location.hash.slice(1);
const field = document.querySelector<HTMLInputElement>("[data-link-token] [name=token]");
const missing = document.getElementById("no-token");

if (/^[0-9a-f]{64}$/.test(token) && field !== null) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
} else if (missing !== null) {
  missing.hidden = false;
}
