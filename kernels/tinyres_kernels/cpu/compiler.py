"""Numba's compiler without what kernels do not need: it optimises a function once, and makes machine code of it once.

Numba optimises each function by itself, then again, with what it calls, to take out reference counts, and only then for
speed. Kernels count no references (`jit.OPTIONS`), so the last of the three is enough. A function that only kernels
call becomes part of their code; Numba would make machine code of it by itself, too, which nobody runs.
"""

from typing import Any

from llvmlite import binding, ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering

NAMES = ir.FunctionType(ir.VoidType(), [])


class _Kernel(JITCodeLibrary):
    """Code that Python calls."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        made = self._codegen._module_pass_manager()
        manager, *builder = made if isinstance(made, tuple) else (made,)  # as of Numba 0.62 there is a builder
        manager.run(self._final_module, *builder)

    def serialize_using_object_code(self) -> tuple[str, str, tuple[bytes, bytes]]:
        """Machine code, and the names of what is in it. Numba keeps all of its LLVM code instead, to inline it in
        callers: kernels have none, and to read it takes as long as to load the machine code."""
        stub = ir.Module(self.name)
        for defined in (*self._final_module.functions, *self._final_module.global_variables):
            if not defined.is_declaration:
                builder = ir.IRBuilder(ir.Function(stub, NAMES, defined.name).append_basic_block())
                builder.call(stub.declare_intrinsic("llvm.trap", (), NAMES), ())
                builder.unreachable()
        return self.name, "object", (self._get_compiled_object(), binding.parse_assembly(str(stub)).as_bitcode())


class _Part(_Kernel):
    """Code that only kernels call: there is nothing to be loaded, and so no address."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Numba asks it to tell the loaded code where its Python constants are."""
        return self

    def set_env(self, env_name: str, env: Any) -> None:
        pass


class _Lowering(NativeLowering):
    """Numba's, into a library of ours."""

    library: Any = _Kernel

    def run_pass(self, state: Any) -> bool:
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(_Lowering):
    _name: Any = "kernel_lowering"


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(_Lowering):
    _name: Any = "part_lowering"
    library = _Part


class KernelCompiler(CompilerBase):
    """For what Python calls."""

    lowering: Any = _KernelLowering

    def define_pipelines(self) -> list[Any]:
        made = PassManager("kernel")
        for each, why in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            made.add_pass(self.lowering if each is NativeLowering else each, why)
        made.finalize()
        return [made]


class PartCompiler(KernelCompiler):
    """For what only kernels call."""

    lowering = _PartLowering
