"""Import rules that import-linter's own contracts cannot state: of simulated vendors, and of a module outside packages."""

import ast
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def is_simulated(module: str) -> bool:
    """Tell whether a module belongs to the vendors' simulated side: `adapters._sandbox`, `sandbox` or `_sandbox_*` of an adapter."""
    parts = module.split(".")
    return parts[0] == "adapters" and any(part == "sandbox" or part.startswith("_sandbox") for part in parts[1:])


def may_import(importer: str, imported: str) -> bool:
    """Tell whether a simulated module may import a module of ours: the shared simulator, or simulated modules of its own vendor."""
    if imported == "adapters":  # the folder of vendors, to look for their simulators
        return True
    vendor = imported.split(".")[1] if is_simulated(imported) else ""
    return vendor in ("_sandbox", importer.split(".")[1])


class SandboxContract(Contract):
    """Simulated vendors import nothing of the hub, of actors or of any adapter."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Check every direct import of every simulated module."""
        broken = [
            (module, imported)
            for module in sorted(graph.modules)
            if is_simulated(module)
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if not graph.is_module_squashed(imported) and not may_import(module, imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that is one too many."""
        for module, imported in check.metadata["broken"]:
            output.print_error(f"{module} imports {imported}", bold=False)


class ModuleContract(Contract):
    """A top-level module, which is no package and hence in no graph, imports none of the forbidden packages."""

    file = fields.StringField()
    forbidden = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Check every import statement of the file, those inside functions included."""
        broken = []
        for node in ast.walk(ast.parse(Path(str(self.file)).read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            broken += [(node.lineno, name) for name in names if name.split(".")[0] in list(self.forbidden)]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that is one too many."""
        for line, imported in check.metadata["broken"]:
            output.print_error(f"{self.file}:{line} imports {imported}", bold=False)
