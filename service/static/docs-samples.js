// How programs call an operation: the samples that the document has as `x-codeSamples`, as tabs.

const CHOICE = 'docs-language'
const listeners = new Set() // of all samples on the page: a language is chosen for all of them

function choose(label) {
  localStorage.setItem(CHOICE, label)
  for (const listener of listeners) listener(label)
}

function Samples({ id, samples, React }) {
  const h = React.createElement
  const [chosen, setChosen] = React.useState(localStorage.getItem(CHOICE))
  const [copied, setCopied] = React.useState('')
  React.useEffect(() => {
    listeners.add(setChosen)
    return () => listeners.delete(setChosen)
  }, [])
  const current = Math.max(0, samples.findIndex(({ label }) => label === chosen))

  // https://www.w3.org/WAI/ARIA/apg/patterns/tabs/: arrows move between tabs, Tab leaves them.
  function move(event) {
    const steps = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: -1 }
    if (!(event.key in steps)) return
    event.preventDefault()
    const next = samples.at(steps[event.key] % samples.length)
    choose(next.label)
    document.getElementById(`${id}-${next.label}`).focus()
  }

  async function copy() {
    await navigator.clipboard.writeText(samples[current].source)
    setCopied('Copied')
    setTimeout(() => setCopied(''), 2000)
  }

  const tab = ({ label }, place) => h('button', {
    key: label,
    id: `${id}-${label}`,
    type: 'button',
    role: 'tab',
    'aria-selected': place === current,
    'aria-controls': `${id}-sample`,
    tabIndex: place === current ? 0 : -1,
    onClick: () => choose(label),
  }, label)
  return h('div', { className: 'samples' },
    h('div', { className: 'samples-head' },
      h('div', { role: 'tablist', 'aria-label': 'Language', onKeyDown: move }, samples.map(tab)),
      // Browsers let pages copy only in a secure context: HTTPS, or this machine.
      navigator.clipboard
        ? h('button', { type: 'button', className: 'copy', onClick: copy }, 'Copy')
        : null,
      h('span', { role: 'status' }, copied)),
    h('pre', {
      id: `${id}-sample`,
      role: 'tabpanel',
      'aria-labelledby': `${id}-${samples[current].label}`,
      tabIndex: 0,
    }, samples[current].source))
}

function Parameters(Original, system) {
  const h = system.React.createElement
  return (props) => {
    const [path, method] = props.pathMethod
    const operation = system.specSelectors.specJson().getIn(['paths', path, method])
    const samples = operation?.get('x-codeSamples')?.toJS() ?? []
    return h('div', null,
      samples.length
        ? h(Samples, { id: `samples-${operation.get('operationId')}`, samples, React: system.React })
        : null,
      h(Original, props))
  }
}

export const samples = () => ({ wrapComponents: { parameters: Parameters } })
