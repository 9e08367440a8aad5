/** A complaint for each path that stands behind a template which matches it as well. */
export default (paths) => {
  const seen = [];
  return Object.keys(paths).flatMap((path) => {
    const hidden = seen.some((template) => template.test(path));
    seen.push(new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`));
    return hidden && !path.includes("{") ? [{ message: path, path: ["paths", path] }] : [];
  });
};
