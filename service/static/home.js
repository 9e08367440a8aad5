// The commands, for the address that the page was read from.
document.getElementById('address').textContent = new URL('.', location).href.replace(/\/$/, '')
