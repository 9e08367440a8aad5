/** Reports each header and link that a 201 lacks. There must be a link to the `get` of the new
 * resource, and to its other operations. */
export default ({ paths }) => {
  const items = Object.values(paths);
  const creations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, operation]) => operation.responses?.["201"])
      .map(([method, operation]) => [path, method, operation.responses["201"]]),
  );
  return creations.flatMap(([path, method, { links = {}, headers = {} }]) => {
    const home = items.find(({ get }) => get && get.operationId === links.get?.operationId);
    const tagged = !home || home.get.responses?.["200"]?.headers?.ETag;
    const missing = [
      !headers.Location && "the header Location",
      !headers.ETag && tagged && "the header ETag",
      !home && "the link get",
      !links.update && home?.patch && "the link update",
      !links.delete && home?.delete && "the link delete",
    ];
    return missing.filter(Boolean).map((what) => ({
      message: `A 201 has ${what}; answer 200 or 202 if nobody can read what was made`,
      path: ["paths", path, method, "responses", "201"],
    }));
  });
};
