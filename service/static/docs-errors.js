// Every operation has a handful of errors, which say much the same everywhere: they are folded, and
// each names its codes, with a link to the page that explains it.

const isError = (code) => code === 'default' || code >= '4'

// The codes that the document declares, to tell them from other words in monospace.
function known(system) {
  const problem = ['components', 'schemas', 'Problem', 'properties', 'code']
  let schema = system.specSelectors.specJson().getIn(problem)
  const name = schema?.get('$ref')?.split('/').pop()
  if (name) schema = system.specSelectors.specJson().getIn(['components', 'schemas', name])
  return new Set(schema?.get('enum')?.toJS())
}

function examples(answer) {
  const media = answer.get('content')?.first()
  const named = media?.get('examples')?.valueSeq().map((example) => example.get('value')).toJS()
  const single = media?.get('example')?.toJS()
  return named ?? (single ? [single] : [])
}

// The description, in which each code leads to its page, and the codes that it leaves out.
function explained(answer, declared) {
  const left = new Set(examples(answer).map(({ code }) => code))
  const source = (answer.get('description') ?? '').replace(/`([a-z-]+)`/g, (word, code) => {
    left.delete(code)
    return declared.has(code) ? `[${word}](problems/${code})` : word
  })
  return { source, left: [...left] }
}

function Errors({ answers, system }) {
  const { React, getComponent } = system
  const h = React.createElement
  const declared = known(system)
  const Markdown = getComponent('Markdown', true)
  const row = (answer, status) => {
    const { source, left } = explained(answer, declared)
    const shown = examples(answer)
    return h('tr', { key: status, 'data-code': status },
      h('th', { scope: 'row' }, status === 'default' ? 'Any other' : status),
      h('td', null,
        h(Markdown, { source }),
        left.map((code) => h('p', { key: code },
          h('a', { href: `problems/${code}`, target: '_blank' }, h('code', null, code)))),
        shown.length ? h('details', null,
          h('summary', null, shown.length > 1 ? 'Examples' : 'Example'),
          shown.map((example) => h('pre', { key: example.code, className: 'microlight', tabIndex: 0 },
            JSON.stringify(example, null, 2)))) : null))
  }
  return h('details', { className: 'errors' },
    h('summary', null, 'Errors ',
      h('span', null, answers.keySeq().filter((code) => code !== 'default').join(' '))),
    h('table', null, h('tbody', null, answers.map(row).valueSeq())))
}

function Responses(Original, system) {
  const h = system.React.createElement
  return (props) => {
    const refusals = props.responses.filter((answer, code) => isError(code))
    const others = props.responses.filterNot((answer, code) => isError(code))
    return h('div', null,
      h(Original, { ...props, responses: others }),
      refusals.size ? h(Errors, { answers: refusals, system }) : null)
  }
}

export const errors = () => ({ wrapComponents: { responses: Responses } })
