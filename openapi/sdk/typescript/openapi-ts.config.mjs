// Options of @hey-api/openapi-ts that are not in the specification.
export default {
  input: 'openapi.json',
  output: { path: 'src/generated', module: { extension: '.js' } }, // Node.js wants whole names
  plugins: [
    { name: '@hey-api/client-fetch', baseUrl: false }, // where the service is, its users know
    '@hey-api/typescript',
    '@hey-api/sdk',
  ],
};
