// What of the page people may be unable to read: text that stands out by less than 4.5 to 1 from
// what is behind it, and whatever makes the page wider than the window.
() => {
  const canvas = matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255]

  function channels(color) {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number)
    return [red, green, blue, alpha]
  }

  function over([red, green, blue, alpha], below) {
    return [red, green, blue].map((value, i) => value * alpha + below[i] * (1 - alpha))
  }

  function behind(element) {
    if (!element) return canvas
    return over(channels(getComputedStyle(element).backgroundColor), behind(element.parentElement))
  }

  function opacity(element) {
    return element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1
  }

  // https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
  function luminance(color) {
    const linear = color.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
  }

  function contrast(element) {
    const below = behind(element)
    const [red, green, blue, alpha] = channels(getComputedStyle(element).color)
    const ink = over([red, green, blue, alpha * opacity(element)], below)
    const [dark, light] = [luminance(ink), luminance(below)].sort((a, b) => a - b)
    return (light + 0.05) / (dark + 0.05)
  }

  const hasText = (element) =>
    element.matches('input, select, textarea') ||
    [...element.childNodes].some(({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim())
  const seen = [...document.body.querySelectorAll('*')]
    .filter((element) => element.checkVisibility() && !element.matches('option, noscript, svg *'))
  const faint = seen.filter((element) => hasText(element) && contrast(element) < 4.5)
    .map((element) => `faint: ${element.outerHTML.slice(0, 120)}`)
  const excess = document.documentElement.scrollWidth - innerWidth
  return excess > 0 ? [...faint, `${excess} pixels too wide`] : faint
}
