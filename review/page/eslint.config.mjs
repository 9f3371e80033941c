import tseslint from "typescript-eslint";

export default tseslint.config(...tseslint.configs.strictTypeChecked, {
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  rules: {
    "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: "test" }] }],
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    "@typescript-eslint/no-non-null-assertion": "off",
    "no-restricted-properties": [
      "error",
      { property: "innerHTML", message: "text from tables must stay text" },
      { property: "outerHTML", message: "text from tables must stay text" },
    ],
    "no-eval": "error",
  },
});
