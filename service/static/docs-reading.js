// How the document is shown: what applies to everything folded, schemas in order, no example that
// would be sent without being asked for.

import { address } from './docs-contents.js'

// An example is there to be read: filled in, it would be a filter that nobody asked for. Only what
// is required is filled in, with the first example.
function unfilled(parameter) {
  if (!parameter) return parameter
  if (parameter.get('required')) {
    const first = parameter.get('examples')?.first()
    return first ? parameter.set('example', first.get('value')).delete('examples') : parameter
  }
  const example = parameter.get('example')
  const told = example ? ` For example, \`${example}\`.` : ''
  return parameter
    .update('description', (text = '') => text + told)
    .delete('example')
    .deleteIn(['schema', 'example'])
}

// What is sent and answered comes first, then texts, numbers and choices; both by name.
function ordered(schemas) {
  const isPart = (schema) => schema.get('type') !== 'object'
  return schemas?.sortBy((schema, name) => `${Number(isPart(schema))} ${name.toLowerCase()}`)
}

// The first paragraph of the description is the introduction. The others begin with what they are
// about, in bold, and apply to all operations: they are there for whoever looks for them.
function Introduction(Info, { React, getComponent }) {
  const h = React.createElement
  return (props) => {
    const [first, ...others] = (props.info.get('description') ?? '').split('\n\n')
    const subjects = others.flatMap((text) => text.match(/^\*\*(.+?)\.?\*\*/)?.[1] ?? [])
    const introduced = h(Info, { ...props, info: props.info.set('description', first) })
    if (!others.length) return introduced
    return h('div', { className: 'introduction' }, introduced,
      h('details', { className: 'common' },
        h('summary', null, 'What applies to all operations',
          subjects.length ? h('span', null, subjects.join(', ')) : null),
        h(getComponent('Markdown', true), { source: others.join('\n\n') })))
  }
}

// What to call next, in a line: the parameters repeat what the names say.
function NextOperation(Original, { React, getComponent }) {
  const h = React.createElement
  return ({ link }) => {
    const operation = link.get('operationId')
    return h('div', { className: 'operation-link' },
      h('a', { href: address(), 'data-operation': operation }, operation),
      h(getComponent('Markdown', true), { source: link.get('description') ?? '' }))
  }
}

export const reading = () => ({
  statePlugins: {
    spec: {
      wrapSelectors: {
        parameterWithMetaByIdentity: (original) => (state, ...key) => unfilled(original(...key)),
        definitions: (original) => (state, ...rest) => ordered(original(...rest)),
      },
    },
  },
  wrapComponents: { info: Introduction, operationLink: NextOperation },
})
