/** Reports each path that comes after a template that also matches it. */
export default (paths) => {
  const seen = [];
  return Object.keys(paths).flatMap((path) => {
    const hidden = seen.some((template) => template.test(path));
    seen.push(new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`));
    return hidden && !path.includes("{") ? [{ message: path, path: ["paths", path] }] : [];
  });
};
